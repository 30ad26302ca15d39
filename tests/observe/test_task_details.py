"""Reading entries: doubled ones, and the place of each."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from random_pipelines import random_pipeline
from small_pipelines import Draft, task
from true_path import play

from kfp_perf.client.messages import Run, RunDetails
from kfp_perf.observe.run_analysis import Components, analyse
from kfp_perf.observe.task_details import entries_of, read_nodes
from kfp_perf.pipelines.shape import shape_of

if TYPE_CHECKING:
    from true_path import PlayedRun

    from kfp_perf.observe.run_analysis import RunAnalysis


def _loops_side_by_side() -> list[dict[str, Any]]:
    """Two loops at once over the same component, which holds a group: all names but their own repeat."""
    draft = Draft("twins")
    draft.container("work")
    draft.dag("inner", {"work": task("work", cache={"enableCache": True})})
    draft.dag("body", {"inner": task("inner")}, {"item": "NUMBER_INTEGER"})
    loop = {"loop": {"item": "[1, 2, 3]"}}
    return draft.documents({"left": task("body", **loop), "right": task("body", **loop)})


def _read(documents: list[dict[str, Any]], played: PlayedRun) -> RunAnalysis:
    shape = shape_of(documents[0])
    return analyse(entries_of(read_nodes(played.shown), shape), shape)


def _raw(played: PlayedRun) -> list[dict[str, Any]]:
    assert played.shown.run_details is not None
    raw: list[dict[str, Any]] = msgspec.json.decode(played.shown.run_details.task_details)
    return raw


@pytest.mark.parametrize("ids", [True, False])
@pytest.mark.parametrize("documents", [random_pipeline(13), random_pipeline(41), _loops_side_by_side()])
def test_doubled_entries_change_nothing(documents: list[dict[str, Any]], ids: bool) -> None:
    read = []
    for retry_nodes in (False, True):
        for cache_entries in (False, True):
            played = play(documents, "fast", 1, ids=ids, retry_nodes=retry_nodes, cache_entries=cache_entries)
            names = [entry.get("display_name", "") for entry in _raw(played)]
            assert any(name.endswith("-driver(0)") for name in names) is retry_nodes
            assert ("" in names) is cache_entries
            reading = _read(documents, played)
            components = Components()
            components.add(reading)
            assert reading.path is not None
            read.append(
                (
                    Counter((entry.name, entry.state, entry.started_at) for entry in reading.entries),
                    {
                        name: (one.executed, one.failed, one.cached, one.skipped)
                        for name, one in components.totals.items()
                    },
                    len(reading.path.segments),
                )
            )
    # The workflow's own name is drawn from the run, which is the same.
    assert read[0] == read[1] == read[2] == read[3]
    assert sum(one[0] for one in read[0][1].values()) > 0


@pytest.mark.parametrize("retry_nodes", [False, True])
def test_entries_of_one_name_are_told_apart(retry_nodes: bool) -> None:
    documents = _loops_side_by_side()
    reading = _read(documents, play(documents, "kfp-2.17", 1, retry_nodes=retry_nodes))
    items = [entry for entry in reading.entries if entry.name == "iteration-item"]
    assert sorted((entry.within.split(".")[2].removesuffix("(0)"), entry.item) for entry in items) == [
        (side, number) for side in ("left", "right") for number in range(3)
    ]
    inner = [entry for entry in reading.entries if entry.name in {"inner", "inner-driver"}]
    assert Counter(entry.within for entry in inner) == dict.fromkeys((item.inside for item in items), 2)
    work = [entry for entry in reading.entries if entry.name in {"work", "work-driver"}]
    groups = [entry.inside for entry in inner if entry.name == "inner"]
    assert Counter(entry.within for entry in work) == dict.fromkeys(groups, 2)


def test_places_need_the_shape_and_the_ids() -> None:
    documents = _loops_side_by_side()
    played = play(documents, "fast", 1)
    assert not any(entry.within for entry in entries_of(read_nodes(played.shown)))
    other = Draft("other")
    shape = shape_of(other.documents({"else": task(other.container("else"))})[0])
    assert not any(entry.within for entry in entries_of(read_nodes(played.shown), shape))
    without = play(documents, "fast", 1, ids=False)
    assert not any(entry.within for entry in entries_of(read_nodes(without.shown), shape_of(documents[0])))


@pytest.mark.parametrize("children", [None, [], [{}], [{"task_id": "t"}], [{"pod_name": "no id"}]])
def test_children_without_ids_are_survived(children: Any) -> None:
    entry = {
        "display_name": "root",
        "state": "SUCCEEDED",
        "start_time": "2026-01-01T00:00:00Z",
        "end_time": "2026-01-01T00:00:05Z",
        "child_tasks": children,
    }
    run = Run(run_id="r", run_details=RunDetails(task_details=msgspec.Raw(msgspec.json.encode([entry]))))
    (read,) = entries_of(read_nodes(run), shape_of(_loops_side_by_side()[0]))
    assert (read.name, read.seconds, read.within) == ("root", 5.0, "")
