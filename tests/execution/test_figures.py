"""Measurements appear in the result: end to end, and with intervals where a test lasts long enough."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from made_samples import made_sample

from kfp_perf.metrics.figures import figures_of
from kfp_perf.result.reader import ScenarioFiles
from kfp_perf.result.scenario_writer import ScenarioInfo, ScenarioWriter
from kfp_perf.result.series import read_series
from kfp_perf.thresholds import Threshold, parse_threshold
from kfp_perf.verdict import judge

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from program import Program, Server

    Start = Callable[..., Program]

T0 = 1_790_000_000.0
COLLECTORS = """
from kfp_perf import MetricsCollector

class Seen(MetricsCollector):
    due = ()

    def on_run(self, record):
        self.due += (record.due >= self.measured_from,)

    def collect_custom_metrics(self):
        return {"measured": sum(self.due), "warmup": len(self.due) - sum(self.due)}

class Unmade(MetricsCollector):
    def __init__(self, scenario_name):
        raise ZeroDivisionError("not made, on purpose")

class Bad(MetricsCollector):
    def on_sample(self, sample):
        raise ZeroDivisionError("no sample, on purpose")

    def collect_custom_metrics(self):
        return {"never": "asked"}

METRICS = {"seen": Seen, "unmade": Unmade, "bad": Bad}
"""


def measured(folder: Path, name: str, seed: int) -> ScenarioFiles:
    """A scenario of six minutes with ten requests a second."""
    writer = ScenarioWriter(folder / name, T0)
    writer.info(ScenarioInfo(name=name, mode="RANDOM_GETS", measured=True, ended=True))
    for due, latency in enumerate(np.random.default_rng(seed).exponential(0.1, 3600).tolist()):
        at = T0 + due * 0.1
        writer.sample(made_sample("GetRun", at, at, at + latency), warmup=False)
    writer.close()
    return ScenarioFiles(folder / name)


def test_quantiles_of_each_scenario_and_of_all_have_intervals(tmp_path: Path) -> None:
    files = [measured(tmp_path, "a", 1), measured(tmp_path, "b", 2), ScenarioFiles(tmp_path / "broken")]
    bounds = [
        parse_threshold("api.GetRun.latency.p95", "< 10s", "$", scenario)
        for scenario in (None, "a", "broken")
    ]
    figures = figures_of(files)
    widths = {}
    for name in ("a", "b", None):
        latency = figures.of(name)["api"]["load"]["GetRun"]["latency_seconds"]
        low, high = latency["intervals"]["p95"]
        assert low < latency["p95"] < high
        widths[name] = high - low
    assert widths[None] < max(widths["a"], widths["b"]), "twice the requests tell more"
    whole, one, broken = judge([one for one in bounds if isinstance(one, Threshold)], figures)
    assert (whole.passed, one.passed, broken.passed) == (True, True, False)
    assert whole.interval == tuple(
        figures.total["api"]["load"]["GetRun"]["latency_seconds"]["intervals"]["p95"]
    )
    assert "there is none" in broken.reason


def test_a_series_that_is_lost_costs_the_times_only(tmp_path: Path) -> None:
    files = measured(tmp_path, "a", 1)
    files.series_path.unlink()
    found = figures_of([files]).total["api"]["load"]["GetRun"]
    assert found["count"] == 3600
    assert found["latency_seconds"].get("p50") is None


def test_all_families_arrive_and_the_warm_up_stays_out(program: Start, server: Server) -> None:
    scenario = {
        "name": "s",
        "mode": "PIPELINE_RUN",
        "runTime": "2s",
        "warmup": "750ms",
        "arrivalRate": "20/s",
        "pipelineFileName": "sequential.yaml",
    }
    one = program([scenario], "--host", server.url, "--plugin", "mine.py", files={"mine.py": COLLECTORS})
    code, out, err = one.end()
    assert code == 0, err
    document, runs = one.result(), one.runs()
    metrics = document["scenarios"][0]["metrics"]
    warm = [run for run in runs if run.get("warmup")]
    counted = [run for run in runs if not run.get("warmup")]
    assert (len(warm), len(counted)) == (15, 25)
    told = metrics["runs"]
    assert (told["due"], told["warmup"], told["succeeded"]) == (25, 15, 25)
    create = metrics["api"]["load"]["CreateRun"]
    assert (create["count"], metrics["api"]["warmup_requests"]) == (25, 15)
    durations = np.array([run["duration_seconds"] for run in counted])
    for name, share in {"p50": 0.5, "p95": 0.95}.items():
        assert told["duration_seconds"][name] == pytest.approx(
            np.quantile(durations, share, method="inverted_cdf"), abs=1e-9
        )
    assert told["duration_seconds"]["mean"] == pytest.approx(durations.mean())
    assert told["duration_trend"]["points"] == 25
    latencies = np.array([run["ended"] - run["due"] for run in counted])
    assert create["latency_seconds"]["p50"] == pytest.approx(
        np.quantile(latencies, 0.5, method="inverted_cdf"), rel=0.02
    )
    execute = np.array([run["phases"]["execute"] for run in counted])
    assert metrics["phases"]["execute"]["mean"] == pytest.approx(execute.mean())
    assert metrics["generator"]["lateness_seconds"]["n"] == 25
    assert "schedule" not in metrics
    assert document["total"]["runs"]["duration_seconds"] == told["duration_seconds"]

    seconds: Counter[bool] = Counter()
    for second in read_series(one.folder / "results/latest/scenarios/s/series.hlog"):
        if (second.purpose, second.operation, second.measure) == ("load", "CreateRun", "latency"):
            seconds[second.warmup] += int(second.counts.sum())
    assert seconds == {True: 15, False: 25}

    assert metrics["seen"] == {"measured": 25, "warmup": 15}
    assert metrics["unmade"] == {"error": "ZeroDivisionError: not made, on purpose"}
    assert metrics["bad"] == {"error": "ZeroDivisionError: no sample, on purpose"}
    assert "collector bad" in out
    assert err.count("Traceback") == 2
