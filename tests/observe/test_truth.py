"""Phases derived from names and whole seconds, compared with the truth of the emulator's cluster.

Half of the seeds double the entries by a retry strategy, two thirds add anonymous ones.
"""

from __future__ import annotations

import json
import random
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import yaml
from random_pipelines import random_pipeline
from true_path import SECOND, PlayedRun, entry_of, play, true_path

from kfp_emulator.cluster.nodes import Node
from kfp_perf.catalog import PIPELINES
from kfp_perf.client.messages import Run, RunDetails, parse_time
from kfp_perf.observe import TrackedRun
from kfp_perf.observe.critical_path import Uncertainty
from kfp_perf.observe.phases import PHASES, clamped, contradiction, duration, phases_of
from kfp_perf.observe.run_analysis import analyse
from kfp_perf.observe.task_details import entries_of, read_nodes
from kfp_perf.observe.times import ClockOffset
from kfp_perf.pipelines.shape import shape_of

if TYPE_CHECKING:
    from kfp_perf.observe.times import TimeSpan

SHARED = Path(__file__).parents[3] / "shared" / "pipelines"
CLIENT_CLOCK_OFF = 2.8
DUE_BEFORE = 0.020
CALL_SECONDS = 0.012
POLL_SECONDS = 0.5


def ours(time: float) -> float:
    """The client's clock at a true time."""
    return time - CLIENT_CLOCK_OFF


def _documents(path: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def _measure(
    documents: list[dict[str, Any]], true: PlayedRun, seed: int, *, plain: bool = False
) -> tuple[dict[str, float], dict[str, TimeSpan]]:
    """The truth and the estimates of all phases and the duration, for a client whose clock is wrong.

    `plain`: differences below zero are not stated as 0.
    """
    chance = random.Random(seed)
    sent = ours(true.created) - chance.random() * CALL_SECONDS
    looked = ours(true.reported) + chance.random() * POLL_SECONDS
    tracked = TrackedRun(
        scenario="s",
        name="r",
        due=ours(true.created) - DUE_BEFORE,
        sent=sent,
        ended=sent + CALL_SECONDS,
        created_at=true.shown.created_at,
        finished_at=true.shown.finished_at,
        seen_unfinished=looked - POLL_SECONDS,
        seen_finished=looked,
    )
    offset = ClockOffset()
    # Others that were created before have made the offset known to a tenth of a second.
    for tenth in range(10):
        created = int(true.created) - 1 + (tenth + chance.random()) / 10
        offset.bracket(int(created), ours(created) - 0.005, ours(created) + 0.005)
    assert tracked.created_at is not None
    offset.bracket(tracked.created_at, tracked.sent, tracked.ended)
    spec = next(document for document in documents if "platforms" not in document)
    shape = shape_of(spec)
    analysis = analyse(entries_of(read_nodes(true.shown), shape), shape)
    differences = phases_of(tracked, true.shown, analysis.path, offset)
    assert not contradiction(tracked, differences, offset)
    estimates = differences if plain else clamped(differences)
    whole = duration(tracked, offset)
    assert whole is not None
    return (
        {"submit": DUE_BEFORE, **true.phases(), "duration": true.finished - true.created},
        {**estimates, "duration": whole},
    )


def _outside(documents: list[dict[str, Any]], profile: str, seed: int, *, ids: bool = True) -> set[str]:
    """The phases whose estimate is further from the truth than it says."""
    truth, estimates = _measure(documents, play(documents, profile, seed, ids=ids), seed)
    assert estimates.keys() == truth.keys() == {*PHASES, "duration"}
    return {
        name
        for name, estimate in estimates.items()
        if abs(estimate.value - truth[name]) > estimate.error + 1e-5
    }


@pytest.mark.parametrize("profile", ["fast", "kfp-2.17"])
def test_phases_of_any_pipeline_are_within_their_bounds(profile: str) -> None:
    cases = {seed: _outside(random_pipeline(seed), profile, seed) for seed in range(300)}
    outside = {seed: names for seed, names in cases.items() if names}
    assert len(outside) <= 0.01 * len(cases), outside


@pytest.mark.parametrize("profile", ["fast", "kfp-2.17"])
@pytest.mark.parametrize("pipeline", sorted(PIPELINES.glob("*.yaml")), ids=lambda path: path.stem)
def test_phases_of_our_own_pipelines_are_within_their_bounds(pipeline: Path, profile: str) -> None:
    documents = _documents(pipeline)
    assert [_outside(documents, profile, seed) for seed in range(3)] == [set()] * 3


@pytest.mark.parametrize("profile", ["fast", "kfp-2.17"])
@pytest.mark.parametrize("pipeline", sorted(PIPELINES.glob("*.yaml")), ids=lambda path: path.stem)
def test_they_are_so_without_ids_too(pipeline: Path, profile: str) -> None:
    """Then entries are distinguished by names and times, and the bounds are wider where there are loops."""
    documents = _documents(pipeline)
    assert [_outside(documents, profile, seed, ids=False) for seed in range(2)] == [set()] * 2


@pytest.mark.parametrize("profile", ["fast", "kfp-2.17"])
def test_phases_of_the_pipelines_of_others_are_within_their_bounds(profile: str) -> None:
    if not SHARED.is_dir():
        pytest.skip("there are no pipelines of others beside this repository")
    cases = [(path, seed) for path in sorted(SHARED.glob("*.yaml")) for seed in (1, 2, 3)]
    outside = {
        (path.name, seed): names
        for path, seed in cases
        if (names := _outside(_documents(path), profile, seed))
    }
    assert len(outside) <= 0.01 * len(cases), outside


@pytest.mark.parametrize("profile", ["fast", "kfp-2.17"])
@pytest.mark.parametrize("pipeline", ["sequential", "conditions"])
def test_the_phases_of_a_run_add_up_to_its_duration(pipeline: str, profile: str) -> None:
    documents = _documents(PIPELINES / f"{pipeline}.yaml")
    within = ("queue", "driver", "execute", "transition", "finish")
    for seed in range(10):
        _, estimates = _measure(documents, play(documents, profile, seed), seed, plain=True)
        total = sum(estimates[name].value for name in within)
        assert total == pytest.approx(estimates["duration"].value, abs=1e-5)


@pytest.mark.parametrize("profile", ["fast", "kfp-2.17"])
def test_errors_average_out(profile: str) -> None:
    """Also where a phase is many stretches that are each shorter than the server's second."""
    documents = _documents(PIPELINES / "sequential.yaml")
    errors: dict[str, list[float]] = {}
    for seed in range(400):
        truth, estimates = _measure(documents, play(documents, profile, seed), seed, plain=True)
        for name, estimate in estimates.items():
            errors.setdefault(name, []).append(estimate.value - truth[name])
    assert errors.keys() == {*PHASES, "duration"}
    for name, each in errors.items():
        standard_error = statistics.stdev(each) / len(each) ** 0.5
        assert abs(statistics.mean(each)) < 3 * standard_error, name


def _recorded_nodes() -> list[Node]:
    """The nodes of the Workflow of a run of `exit-handler` on a KFP 2.17.0."""
    recorded = json.loads(Path(__file__).with_name("recordings").joinpath("exit-handler.json").read_text())
    nodes = []
    for each in recorded:
        begin, end = (parse_time(each[name]) for name in ("startedAt", "finishedAt"))
        assert begin is not None
        assert end is not None
        nodes.append(
            Node(
                task_id="",
                node_id=each["id"],
                display_name=each["displayName"],
                phase=each["phase"],
                created_at=0,
                started_at=round(begin * SECOND),
                finished_at=round(end * SECOND),
                history=(),
                children=tuple(each.get("children", ())),
                pod_name=each["id"] if each["type"] == "Pod" else "",
            )
        )
    return nodes


def test_the_critical_path_of_a_real_workflow_is_read_from_its_entries() -> None:
    """Every node is doubled, and what follows a task hangs on the attempt of its DAG node."""
    nodes = _recorded_nodes()
    path = true_path(nodes)
    begin = path[0].start
    assert [(pod.name, pod.start - begin, pod.end - begin) for pod in path] == [
        ("root-driver", 0, 4),
        ("exit-handler-1-driver", 10, 13),
        ("echo-2-driver", 20, 23),
        ("executor", 30, 34),
        ("echo-3-driver", 40, 43),
        ("executor", 50, 57),
        ("echo-driver", 60, 64),
        ("executor", 71, 76),
    ]
    shape = shape_of(_documents(PIPELINES / "exit-handler.yaml")[0])
    for ids in (True, False):
        entries = msgspec.json.encode([entry_of(node, ids=ids) for node in nodes])
        run = Run(run_id="r", run_details=RunDetails(task_details=msgspec.Raw(entries)))
        read = analyse(entries_of(read_nodes(run), shape), shape).path
        assert read is not None
        assert [(each.start, each.end) for each in read.segments] == [(pod.start, pod.end) for pod in path]
        assert read.uncertainty == Uncertainty()


def test_the_bounds_are_not_much_wider_than_the_errors() -> None:
    """Of runs without parallel tasks, no bound is much wider than the error of whole seconds.

    Of sums, the bound is the worst case, which adds up the errors of all spans; the errors of single runs stay
    below.
    """
    documents = _documents(PIPELINES / "sequential.yaml")
    worst: dict[str, float] = {}
    bounds: dict[str, float] = {}
    for seed in range(100):
        truth, estimates = _measure(documents, play(documents, "fast", seed), seed)
        for name, estimate in estimates.items():
            worst[name] = max(worst.get(name, 0.0), abs(estimate.value - truth[name]))
            bounds[name] = max(bounds.get(name, 0.0), estimate.error)
    assert bounds["submit"] < 0.01
    for name in ("queue", "finish", "visible", "duration"):
        assert bounds[name] < 2 * worst[name], name
    for name in ("driver", "execute", "transition"):
        assert bounds[name] < 3 * worst[name], name
