"""The result of a test from its files alone: at its end, while it runs, and after a kill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from made_samples import made_sample

from kfp_perf.errors import ExitCode
from kfp_perf.execution.document import result_document
from kfp_perf.metrics import MetricsCollector
from kfp_perf.metrics.metric import Metric, Unit
from kfp_perf.result.counters import ScenarioCounters
from kfp_perf.result.reader import TestResult
from kfp_perf.result.records import Outcome, RunRecord
from kfp_perf.result.result_writer import ResultWriter
from kfp_perf.result.scenario_writer import ScenarioInfo, ScenarioWriter

if TYPE_CHECKING:
    from pathlib import Path

T0 = 1_790_000_000.0  # 2026-09-21T14:13:20Z
INFO = ScenarioInfo(name="s", mode="PIPELINE_RUN", start_at=T0, end_at=T0 + 60.0, started=T0)


def threshold(metric: str, condition: str, scenario: str | None = None) -> dict[str, Any]:
    return {"metric": metric, "condition": condition, "where": "$", "scenario": scenario}


def of_the_file(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The thresholds without the default ones."""
    return [one for one in document["thresholds"] if not one["default"]]


class Running:
    """A test of one scenario for which its files are written as it goes."""

    def __init__(self, parent: Path, *thresholds: dict[str, Any], declared: tuple[Metric, ...] = ()) -> None:
        self.result = ResultWriter.create(parent, "t", T0)
        self.result.save_given(
            {
                "name": "t",
                "started": "2026-09-21T14:13:20Z",
                "scenarios": [{"name": "s", "folder": "s", "mode": "PIPELINE_RUN"}],
                "thresholds": list(thresholds),
                "declared_metrics": msgspec.to_builtins(declared),
            }
        )

    def measure(self, seconds: int, *, error: str = "") -> ScenarioWriter:
        """Start the scenario, and measure an operation and a run a second; the last second is not flushed yet."""
        writer = ScenarioWriter(self.result.scenario_folder("s"), T0)
        writer.info(INFO)
        for second in range(seconds):
            at = T0 + second
            writer.sample(made_sample("CreateRun", at, at, at + 0.1, error=error), warmup=False)
            writer.run(
                RunRecord(
                    scenario="s",
                    name=f"r{second}",
                    run_id="i",
                    due=at,
                    outcome=Outcome.SUCCEEDED,
                    seen_finished=at + 5.0,
                    duration_seconds=4.0,
                )
            )
            for _ in writer.flush(at + 0.5):
                pass
            writer.state(ScenarioCounters(scenario="s", at=at + 0.5, due=second + 1), {})
        return writer

    def document(self, **fields: Any) -> dict[str, Any]:
        return result_document(TestResult(self.result.path), **fields)


def test_a_killed_test_has_all_figures_until_a_second_before(tmp_path: Path) -> None:
    test = Running(
        tmp_path, threshold("run.success_rate", ">= 99%"), threshold("api.CreateRun.errors", "== 0", "s")
    )
    test.measure(20)
    document = test.document()
    assert (document["complete"], document["complete_until"]) == (False, "2026-09-21T14:13:39.500Z")
    assert document["finished"] == document["complete_until"]
    assert document["elapsed_seconds"] == 19.5
    assert document["total"]["api"]["load"]["CreateRun"]["count"] == 19
    assert document["total"]["runs"]["succeeded"] == 20
    assert [one["passed"] for one in of_the_file(document)] == [True, True]
    assert document["verdict"]["exit_code"] == ExitCode.INTERRUPTED
    assert document["verdict"]["reasons"] == [
        "The test was killed before its end; its files are complete until 2026-09-21T14:13:39.500Z."
    ]
    (scenario,) = document["scenarios"]
    assert (scenario["name"], scenario["mode"], scenario["finished"]) == ("s", "PIPELINE_RUN", None)
    assert scenario["metrics"]["runs"] == document["total"]["runs"]


def test_a_test_that_was_killed_before_anything_was_measured_says_so(tmp_path: Path) -> None:
    document = Running(tmp_path).document()
    assert document["complete_until"] == document["started"] == "2026-09-21T14:13:20.000Z"
    assert document["verdict"]["reasons"] == ["The test was killed before it had measured anything."]
    assert [one["name"] for one in document["scenarios"]] == ["s"]
    assert document["total"]["runs"]["due"] == 0


def test_a_test_that_is_over_is_judged(tmp_path: Path) -> None:
    test = Running(tmp_path, threshold("api.CreateRun.latency.max", "< 1s"))
    writer = test.measure(20)
    writer.info(msgspec.structs.replace(INFO, finished=T0 + 25.0, measured=True, ended=True))
    writer.close()
    test.result.save_health({"over": True, "health": {"asked": 3}, "generator": {"cpu": 1}})
    document = test.document(finished=T0 + 30.0)
    assert (document["complete"], document["complete_until"]) == (True, None)
    assert (document["elapsed_seconds"], document["finished"]) == (30.0, "2026-09-21T14:13:50.000Z")
    assert document["verdict"] == {"text": "passed", "exit_code": 0, "reasons": [], "emulator": False}
    assert (document["health"], document["generator"]) == ({"asked": 3}, {"cpu": 1})
    assert document["total"]["cleanup"] == {"left": 0}
    assert test.document(finished=T0 + 30.0) == document, "as often as it is computed"


def test_what_ended_a_scenario_and_what_checks_found_are_reasons(tmp_path: Path) -> None:
    test = Running(tmp_path)
    writer = test.measure(3)
    failed = msgspec.structs.replace(INFO, error="refused", exit_code=int(ExitCode.TARGET), ended=True)
    writer.info(msgspec.structs.replace(failed, leftovers=("run x: 500",)))
    writer.close()
    test.result.save_health({"over": True, "reasons": [[int(ExitCode.INVALID), "CPU is exhausted"]]})
    document = test.document()
    assert set(document["verdict"]["reasons"]) > {"s: refused", "CPU is exhausted"}
    assert "cleanup.left is 1, not == 0" in document["verdict"]["reasons"][-1], "a default threshold"
    assert document["verdict"]["exit_code"] == ExitCode.worst([ExitCode.TARGET, ExitCode.INVALID])
    assert document["leftovers"] == ["run x: 500"]
    assert document["total"]["cleanup"] == {"left": 1}


@pytest.mark.parametrize(("condition", "kept"), [("< 1h", False), ("> 1ms", True)])
def test_operations_that_failed_make_a_quantile_unreached_and_its_bound_not_kept(
    tmp_path: Path, condition: str, kept: bool
) -> None:
    test = Running(tmp_path, threshold("api.CreateRun.latency.p95", condition, "s"))
    writer = test.measure(24, error="503")
    writer.info(msgspec.structs.replace(INFO, ended=True))
    writer.close()
    (one,) = of_the_file(test.document())
    assert (one["passed"], one["value"], one["not_reached"], one["count"]) == (kept, None, True, 24)


class Mine(MetricsCollector):
    """A user's collector with a metric of its own."""

    metrics = (Metric("mine.lost", Unit.COUNT, "GPUs that were lost.", "the nodes", ("mine", "lost")),)


def test_thresholds_on_a_users_metric_are_judged_without_its_class(tmp_path: Path) -> None:
    test = Running(
        tmp_path, threshold("mine.lost", "== 0", "s"), threshold("mine.lost", "== 0"), declared=Mine.metrics
    )
    writer = test.measure(2)
    writer.info(msgspec.structs.replace(INFO, custom={"mine": {"lost": 0}}, ended=True))
    writer.close()
    document = test.document(custom={"mine": {"lost": 3}})
    assert [one["value"] for one in of_the_file(document)] == [0.0, 3.0]
    assert [one["passed"] for one in of_the_file(document)] == [True, False]
    assert document["total"]["mine"] == {"lost": 3}
    assert [one["passed"] for one in of_the_file(test.document())] == [
        True,
        False,
    ]  # no figure of the whole test
