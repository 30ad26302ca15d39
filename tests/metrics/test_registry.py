"""The registry names everything in a metrics dictionary, and the documentation agrees with the registry."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from made_cluster import write_cluster
from made_evidence import exposition, write_scrapes

from kfp_perf.config import TestConfig
from kfp_perf.metrics import METRICS, OF_THE_TEST, MetricsCollector
from kfp_perf.metrics.figures import Figures, figures_of
from kfp_perf.metrics.metric import BESIDE, Metric, Unit, distribution, fewest_values
from kfp_perf.metrics.registry import CALLS, Registry, built_in
from kfp_perf.metrics.reported import ReportedFamily
from kfp_perf.plan import make_plan
from kfp_perf.result.counters import ScenarioCounters
from kfp_perf.result.reader import TestResult
from kfp_perf.result.records import Outcome, Purpose
from kfp_perf.result.scenario_writer import ScenarioWriter
from kfp_perf.statistics.quantiles import FINE_QUANTILES
from kfp_perf.verdict import judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kfp_perf.result.reader import ScenarioFiles
    from kfp_perf.result.records import RunRecord, Sample

METRICS_OF_ALL = built_in().metrics

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "metrics.md").read_text(encoding="utf-8")
T0 = 1_790_000_000.0
#: What `*` stands for in the names of a family.
STARS = {
    "server": "CreateRun",
    "controller": "workflow_queue",
    "endpoints": "minio",
    "components": "ml-pipeline",
}


@pytest.fixture
def everything(
    sample: Callable[..., Sample],
    run: Callable[..., RunRecord],
    files: Callable[..., ScenarioFiles],
    tmp_path: Path,
) -> dict[str, Any]:
    """A metrics dictionary in which nothing is absent."""
    samples, runs = [], []
    latencies = np.random.default_rng(1).lognormal(-3.0, 0.5, 1200).tolist()
    for place, latency in enumerate(latencies):
        samples.append(sample(place * 0.3, latency, 0.001))
    for place in range(60):
        samples.append(sample(place * 1.0, purpose=Purpose.OBSERVE))
        phases = {name.path[1]: 5.0 + place for name in METRICS["phases"].metrics}
        runs.append(
            run(
                place * 6.0,
                10.0 + place,
                phases=phases,
                phase_errors=dict.fromkeys(phases, 1.0),
                recurring_run_id="r",
                slot=T0 + place,
                drift_seconds=3.0,
                drift_error_seconds=0.5,
            )
        )
    samples.append(sample(-1.0))
    runs.append(run(cached=True))
    name = "everything"
    open_load = {"open_load": True, "start_at": T0, "end_at": T0 + 360.0}
    written = files(samples, runs, name=name, measured_from=T0, ended=True, **open_load)
    writer = ScenarioWriter(written.folder, T0)
    reports = {
        key: {field.key: 2 for field in family.fields}
        for key, family in METRICS.items()
        if issubclass(family, ReportedFamily)
    }
    writer.state(ScenarioCounters(scenario=name, at=T0 + 1.0, in_flight=3), reports)
    writer.close()
    for endpoint in ("server", "controller", "scheduledworkflow", "minio"):
        write_scrapes(
            tmp_path,
            endpoint,
            {T0 - 5.0: exposition(endpoint, 10.0), T0 + 400.0: exposition(endpoint, 210.0)},
        )
    write_cluster(tmp_path, [one.run_id for one in runs], T0)
    found = figures_of([written], TestResult(tmp_path).evidence)
    metrics = {**found.of(name), **{key: found.total[key] for key in OF_THE_TEST}}
    # Of runs that failed there are times only where some are not visible.
    metrics["runs"]["failed_duration_seconds"] = metrics["runs"]["cached_duration_seconds"]
    return metrics


@pytest.fixture
def troubled(
    sample: Callable[..., Sample], run: Callable[..., RunRecord], figures: Callable[..., dict[str, Any]]
) -> dict[str, Any]:
    """A metrics dictionary of a test in which much went wrong."""
    samples = [sample(0.1 * place) for place in range(50)]
    samples.append(sample(1.0, status=500, error="500", message="no"))
    outcomes = (Outcome.FAILED, Outcome.UNFINISHED, Outcome.REFUSED, Outcome.LOST, Outcome.NEVER_STARTED)
    runs = [run(outcome=outcome, error="no") for outcome in outcomes]
    return figures(samples, [*runs, run()], name="troubled")


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if (
        isinstance(value, dict)
        and value
        and path[-1:] not in {("intervals",), ("errors_by_kind",), ("attempt_errors",)}
    ):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif value not in ({}, None):
        yield path


@pytest.mark.parametrize("which", ["everything", "troubled"])
def test_every_number_is_a_metric_or_stands_beside_one(which: str, request: pytest.FixtureRequest) -> None:
    metrics: dict[str, Any] = request.getfixturevalue(which)
    named = {
        one.path
        for metric in METRICS_OF_ALL
        for found in variants(metric.name, metric.statistics, star="*")
        for one in found.expanded(metrics)
    }
    unnamed = {path for path in leaves(metrics) if path not in named and BESIDE.keys().isdisjoint(path)}
    assert unnamed == set()


def test_every_metric_has_a_value_where_the_registry_says(everything: dict[str, Any]) -> None:
    for metric in METRICS_OF_ALL:
        if metric.path[0] == "capacity":  # of a search, whose answer no single test has
            continue
        for found in variants(metric.name, metric.statistics, call="GetRun"):
            assert found.value_in(everything) is not None, found.name
            count = found.count_in(everything)
            assert count is None or count > 0, found.name


def variants(
    name: str, statistics: tuple[str, ...], call: str = "", star: str | None = None
) -> Iterator[Any]:
    star = star or STARS.get(name.split(".")[0], "*")
    for one in [call] if call else CALLS:
        for statistic in statistics or ("",):
            whole = name.replace("{call}", one) + (f".{statistic}" if statistic else "")
            found = built_in().find(whole.replace("*", star))
            assert found is not None, whole
            yield found
        if "{call}" not in name:
            return


def test_names_are_unique_and_every_metric_says_what_it_is() -> None:
    names = [metric.name for metric in METRICS_OF_ALL]
    assert len(set(names)) == len(names)
    for metric in METRICS_OF_ALL:
        assert metric.meaning[0] == "1" or metric.meaning[0].isupper(), metric.name
        assert metric.meaning.endswith("."), metric.name
        assert metric.source, metric.name
        assert metric.path[0] in METRICS, metric.name


def test_intervals_belong_to_their_value(everything: dict[str, Any]) -> None:
    for name in ("api.GetRun.latency.p99", "run.duration.drift"):
        found = built_in().find(name)
        assert found is not None
        interval = found.interval_in(everything)
        assert interval is not None, name
        value = found.value_in(everything)
        assert value is not None
        assert interval[0] is not None
        assert interval[0] <= value
    for name in ("run.duration.max", "run.due", "run.success_rate"):
        found = built_in().find(name)
        assert found is not None
        assert found.interval_in(everything) is None, name


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("run.succes_rate", "run.success_rate"),
        ("api.CreateRuns.errors", "api.CreateRun.errors"),
        ("phase.queu.mean", "phase.queue.mean"),
        ("generator.latenes.p99", "generator.lateness.p99"),
        ("schedule.mised", "schedule.missed"),
        ("", ""),
        ("xyzzy", ""),
    ],
)
def test_the_nearest_name(wrong: str, near: str) -> None:
    assert built_in().find(wrong) is None
    assert built_in().nearest(wrong) == near


def test_statistics_of_a_distribution() -> None:
    assert built_in().statistics_of("run.duration") == ("p50", "p90", "p95", "p99", "max", "mean")
    assert "p99.9" in built_in().statistics_of("api.GetRun.latency")
    assert built_in().statistics_of("run.due") == built_in().statistics_of("nothing") == ()


def test_fewest_values() -> None:
    assert [fewest_values(share) for share in FINE_QUANTILES.values()] == [2, 10, 20, 100, 1000]


def test_the_reference_is_in_step_with_the_registry() -> None:
    check = subprocess.run(
        [sys.executable, str(DOCS / "make.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert "metrics.md" not in check.stdout, "run python docs/make.py"


def test_check_says_what_is_out_of_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = importlib.util.spec_from_file_location("docs_make", DOCS / "make.py")
    assert spec is not None
    assert spec.loader is not None
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    monkeypatch.setattr(make, "DOCS", tmp_path)
    monkeypatch.setattr(make, "FILES", {})
    monkeypatch.setattr(make, "PAGES", {"metrics.md": make.PAGES["metrics.md"]})
    monkeypatch.setattr(make, "FILES", {"picture.svg": lambda: "<svg/>"})
    stale = PAGE.replace("| `run.due` |", "| `run.dew` |")
    (tmp_path / "metrics.md").write_text(stale)
    assert make.main(["--check"]) == 1
    printed = capsys.readouterr().out
    assert "metrics.md: outdated" in printed
    assert "picture.svg: outdated" in printed
    assert (tmp_path / "metrics.md").read_text() == stale
    assert make.main([]) == 0
    assert (tmp_path / "metrics.md").read_text() == PAGE
    assert (tmp_path / "picture.svg").read_text() == "<svg/>"
    assert make.main(["--check"]) == 0


@pytest.mark.parametrize("metric", METRICS_OF_ALL, ids=lambda metric: metric.name)
def test_every_metric_stands_in_the_reference(metric: Any) -> None:
    assert f"| `{metric.name}` |" in PAGE


@pytest.mark.parametrize("family", METRICS)
def test_every_family_has_a_heading(family: str) -> None:
    before, after = PAGE.split(f"<!-- made: {family} -->")
    headings = {
        "api": "API",
        "schedule": "Schedules",
        "schedules": "Schedules of a scenario",
        "scheduledworkflow": "Scheduled-workflow controller",
    }
    last = re.findall(r"^## (.+)$", before, re.MULTILINE)[-1]
    assert last == headings.get(family, family.title())
    assert after.startswith("\n| name |")


def test_the_example_of_the_reference_is_a_plan_that_can_be_judged(
    everything: dict[str, Any], tmp_path: Path
) -> None:
    example, aborting = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "aborting.json").write_text(aborting)
    ending = [
        one for one in make_plan(tmp_path / "aborting.json", TestConfig()).thresholds if one.abort_on_fail
    ]
    assert [(one.window_seconds, one.delay_seconds) for one in ending] == [(120.0, 300.0), (300.0, 0.0)]
    (tmp_path / "t.json").write_text(example)
    plan = make_plan(tmp_path / "t.json", TestConfig())
    assert len(plan.thresholds) == 5
    judged = judge(plan.thresholds, Figures({"pipeline-run": everything}, everything))
    assert [one.value is not None for one in judged] == [False, True, True, True, True], (
        "CreateRun is not in it"
    )


def test_list_reads_of_the_load_have_variants() -> None:
    found = built_in().find("api.ListRuns.in_experiment.latency.p95")
    assert found is not None
    assert found.path == ("api", "load", "ListRuns.in_experiment", "latency_seconds", "p95")
    assert built_in().find("api.ListRuns.latency.p95") is not None
    for wrong in (
        "api.GetRun.newest.count",
        "api.ListRuns.oldest.count",
        "api.observe.ListRuns.newest.count",
    ):
        assert built_in().find(wrong) is None


class Gpus(MetricsCollector):
    """A user's collector with metrics that thresholds can name."""

    metrics = (
        Metric("gpus.lost", Unit.COUNT, "GPUs that were lost.", "the nodes", ("gpus", "lost")),
        distribution(
            "gpus.*.wait", "How long pods waited for a GPU.", "the pods", ("gpus", "kinds", "*", "wait")
        ),
    )


def test_a_users_metrics_are_found_by_their_names_and_patterns() -> None:
    registry = Registry({**METRICS, "gpus": Gpus})
    assert built_in().find("gpus.lost") is None
    lost, one, any_ = (
        registry.find(name) for name in ("gpus.lost", "gpus.a100.80.wait.p95", "gpus.*.wait.p95")
    )
    assert lost is not None
    assert one is not None
    assert any_ is not None
    assert (lost.path, lost.count_path) == (("gpus", "lost"), ())
    assert one.path == ("gpus", "kinds", "a100.80", "wait", "p95")
    assert one.count_path == ("gpus", "kinds", "a100.80", "wait", "n")
    assert any_.path == ("gpus", "kinds", "*", "wait", "p95")
    assert registry.find("gpus.wait.p95") is None
    assert registry.find("gpus.a100.wait.p42") is None
    assert registry.nearest("gpus.lots") == "gpus.lost"


def test_a_pattern_is_every_key_that_there_is() -> None:
    found = Registry({"gpus": Gpus}).find("gpus.*.wait.p95")
    assert found is not None
    kinds = {name: {"wait": {"n": 20, "p95": seconds}} for name, seconds in (("a100", 1.0), ("t4", 5.0))}
    metrics = {"gpus": {"kinds": kinds}}
    expanded = found.expanded(metrics)
    assert [one.name for one in expanded] == ["gpus.a100.wait.p95", "gpus.t4.wait.p95"]
    assert [one.value_in(metrics) for one in expanded] == [1.0, 5.0]
    assert [one.count_in(metrics) for one in expanded] == [20, 20]
    assert found.expanded({}) == []
