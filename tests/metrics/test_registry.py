"""The registry names all that a metrics dictionary holds, and the documentation says what the registry says."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.config import TestConfig
from kfp_perf.metrics import METRICS, built_in_collector
from kfp_perf.metrics.metric import BESIDE, fewest_values
from kfp_perf.metrics.registry import CALLS, REGISTRY, find_metric, nearest_name, statistics_of
from kfp_perf.plan import make_plan
from kfp_perf.result.records import Outcome, Purpose
from kfp_perf.statistics.quantiles import FINE_QUANTILES
from kfp_perf.thresholds import judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kfp_perf.result.records import RunRecord, Sample

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "metrics.md").read_text(encoding="utf-8")
T0 = 1_790_000_000.0


@pytest.fixture
def everything(sample: Callable[..., Sample], run: Callable[..., RunRecord]) -> dict[str, Any]:
    """A metrics dictionary in which nothing is absent."""
    collector = built_in_collector()
    collector.measured_from = T0
    for place in range(60):
        collector.on_sample(sample(place * 1.0, 0.1 + place * 0.01, 0.001))
        collector.on_sample(sample(place * 1.0, purpose=Purpose.OBSERVE))
        phases = {name.path[1]: 5.0 + place for name in METRICS["phases"].metrics}
        collector.on_run(
            run(
                place * 1.0,
                10.0 + place,
                phases=phases,
                phase_errors=dict.fromkeys(phases, 1.0),
                recurring_run_id="r",
                slot=T0 + place,
                drift_seconds=3.0,
                drift_error_seconds=0.5,
            )
        )
    collector.on_sample(sample(-1.0))
    collector.on_sample(sample(1.0, status=500, error="500"))
    collector.on_run(run(outcome=Outcome.FAILED))
    collector.on_run(run(cached=True))
    collector.on_run(run(outcome=Outcome.UNFINISHED, duration_seconds=None))
    metrics = collector.metrics()
    # The intervals and the trend of latencies are added from the series, when the test is over.
    figures = metrics["api"]["load"]["GetRun"]
    figures["latency_seconds"]["intervals"] = {name: [0.0, 1.0] for name in FINE_QUANTILES}
    figures["latency_trend"] = metrics["runs"]["duration_trend"]
    return metrics


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict) and value and path[-1:] not in {("intervals",), ("errors_by_kind",)}:
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    else:
        yield path


def test_every_number_is_a_metric_or_stands_beside_one(everything: dict[str, Any]) -> None:
    named = {found.path for metric in REGISTRY for found in variants(metric.name, metric.statistics)}
    unnamed = {path for path in leaves(everything) if path not in named and path[-1] not in BESIDE}
    assert unnamed == set()


def test_every_metric_has_a_value_where_the_registry_says(everything: dict[str, Any]) -> None:
    for metric in REGISTRY:
        for found in variants(metric.name, metric.statistics, call="GetRun"):
            assert found.value_in(everything) is not None, found.name
            count = found.count_in(everything)
            assert count is None or count > 0, found.name


def variants(name: str, statistics: tuple[str, ...], call: str = "") -> Iterator[Any]:
    for one in [call] if call else CALLS:
        for statistic in statistics or ("",):
            whole = name.replace("{call}", one) + (f".{statistic}" if statistic else "")
            found = find_metric(whole)
            assert found is not None, whole
            yield found
        if "{call}" not in name:
            return


def test_names_are_unique_and_every_metric_says_what_it_is() -> None:
    names = [metric.name for metric in REGISTRY]
    assert len(set(names)) == len(names)
    for metric in REGISTRY:
        assert metric.meaning[0].isupper(), metric.name
        assert metric.meaning.endswith("."), metric.name
        assert metric.source, metric.name
        assert metric.path[0] in METRICS, metric.name


def test_intervals_belong_to_their_value(everything: dict[str, Any]) -> None:
    for name in ("run.duration.p95", "api.GetRun.latency.p99", "run.duration.drift"):
        found = find_metric(name)
        assert found is not None
        interval = found.interval_in(everything)
        assert interval is not None, name
        value = found.value_in(everything)
        assert value is not None
        assert interval[0] is not None
        assert interval[0] <= value
    for name in ("run.duration.max", "run.due", "run.success_rate"):
        found = find_metric(name)
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
    assert find_metric(wrong) is None
    assert nearest_name(wrong) == near


def test_statistics_of_a_distribution() -> None:
    assert statistics_of("run.duration") == ("p50", "p90", "p95", "p99", "max", "mean")
    assert "p99.9" in statistics_of("api.GetRun.latency")
    assert statistics_of("run.due") == statistics_of("nothing") == ()


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
    monkeypatch.setattr(make, "PAGES", {"metrics.md": make.PAGES["metrics.md"]})
    stale = PAGE.replace("| `run.due` |", "| `run.dew` |")
    (tmp_path / "metrics.md").write_text(stale)
    assert make.main(["--check"]) == 1
    assert "metrics.md: out of step" in capsys.readouterr().out
    assert (tmp_path / "metrics.md").read_text() == stale
    assert make.main([]) == 0
    assert (tmp_path / "metrics.md").read_text() == PAGE
    assert make.main(["--check"]) == 0


@pytest.mark.parametrize("metric", REGISTRY, ids=lambda metric: metric.name)
def test_every_metric_stands_in_the_reference(metric: Any) -> None:
    assert f"| `{metric.name}` |" in PAGE


@pytest.mark.parametrize("family", METRICS)
def test_every_family_has_a_heading(family: str) -> None:
    before, after = PAGE.split(f"<!-- made: {family} -->")
    assert re.findall(r"^## (.+)$", before, re.MULTILINE)[-1] == {"api": "API"}.get(
        family, family.title()
    ).replace("Schedule", "Schedules")
    assert after.startswith("\n| name |")


def test_the_example_of_the_reference_is_a_plan_that_can_be_judged(
    everything: dict[str, Any], tmp_path: Path
) -> None:
    (example,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "t.json").write_text(example)
    plan = make_plan(tmp_path / "t.json", TestConfig())
    assert len(plan.thresholds) == 5
    judged = judge(plan.thresholds, {None: everything, "pipeline-run": everything})
    assert [one.value is not None for one in judged] == [False, True, True, True, True], (
        "CreateRun is not in it"
    )
