"""Sliding thresholds and those that abort a test, from the scenario file to the verdict."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.execution.document import result_document
from kfp_perf.result.counters import ScenarioCounters
from kfp_perf.result.files import RESULT_FILE
from kfp_perf.result.reader import TestResult
from kfp_perf.result.records import Outcome, RunRecord
from kfp_perf.result.result_writer import ResultWriter
from kfp_perf.result.scenario_writer import ScenarioInfo, ScenarioWriter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from program import Program, Server

    Start = Callable[..., Program]

T0 = 1_790_000_000.0
LOAD: dict[str, Any] = {
    "name": "load",
    "mode": "PIPELINE_RUN",
    "runTime": "10min",
    "arrivalRate": "20/s",
    "pipelineFileName": "hello.yaml",
}


def test_a_threshold_aborts_the_test_with_its_clean_up_and_its_report(program: Start, server: Server) -> None:
    aborting = {"condition": "< 1ms", "abortOnFail": True, "delay": "1s"}
    scenario = {**LOAD, "thresholds": {"run.visible.p50": ["< 1h", aborting]}}
    one = program([scenario], "--host", server.url)
    code, out, err = one.end()
    assert code == 1, err
    assert "Aborting the test, as load: run.visible.p50 was at least" in err
    assert server.ours() == {}
    document = one.result()
    why, *_ = document["verdict"]["reasons"]
    assert why.startswith("Aborted after 0:")
    assert why.endswith("not < 1ms.")
    assert "Aborted after" in " ".join(out.split())
    judged = {row["condition"]: row for row in document["thresholds"] if not row["default"]}
    assert (judged["< 1ms"]["judged"], judged["< 1ms"]["aborted"]) == ("not kept", True)
    assert judged["< 1h"]["aborted"] is False
    assert document["stopped_early"]["elapsed_seconds"] < 60.0
    assert document["scenarios"][0]["metrics"]["load"]["fell_behind"] != 1
    folder = one.folder / "results/latest"
    (folder / RESULT_FILE).unlink()
    again = result_document(TestResult.open(folder))
    assert again["verdict"] == document["verdict"]
    assert again["thresholds"] == document["thresholds"]
    page = (folder / "report.html").read_text()
    assert "it ended the test" in page


@pytest.mark.parametrize(
    ("threshold", "what", "remedy"),
    [
        ({"run.visible.p95": "< 90s over"}, "is not the length of a window", "over 5m"),
        ({"run.visible.p95": "< 90s over fast"}, "is not the length of a window", "over 5m"),
        ({"run.visible.p95": "< 90s over 5s"}, "a window is at least 10 s long", "over 5m"),
        ({"run.visible.p95": "< 90s over 11m"}, "has a window of 660 s, and the load lasts 600 s", "shorter"),
        ({"run.visible.p95": "< 5% over 5m"}, "is not a bound in units of time", "90s"),
        ({"run.visible.mean": "< 90s over 5m"}, "run.visible.mean has no figure in a window", "p50 to p99"),
        ({"run.visible.max": "< 90s over 5m"}, "run.visible.max has no figure in a window", "p50 to p99"),
        ({"api.observe.ListRuns.latency.p50": "< 1s over 5m"}, "has no figure in a window", "run.visible"),
        ({"cleanup.left": {"condition": "== 0", "abortOnFail": True}}, "known only at the end", "run.failed"),
        ({"run.succeeded": {"condition": ">= 9", "abortOnFail": True}}, "at once", "leave out"),
        ({"run.throughput": {"condition": ">= 9/s", "abortOnFail": True}}, "at once", "over 1m"),
        (
            {"run.failed": {"condition": "== 0", "abortOnFail": True, "delay": "11m"}},
            "has a delay of 660 s, and the load lasts 600 s",
            "shorter",
        ),
        ({"run.failed": {"condition": "== 0", "delay": "1m"}}, "a delay without abortOnFail", "aborted"),
        ({"run.failed": {"abortOnFail": True}}, "has no condition", '"condition"'),
        ({"run.failed": {"condition": "== 0", "abort": True}}, '"abort" is not a known field', "abortOnFail"),
        ({"run.failed": {"condition": "== 0", "abortOnFail": "yes"}}, "must be true or false", "abortOnFail"),
        ({"run.failed": {"condition": "== 0", "abortOnFail": True, "delay": "x"}}, "is not a time", "unit"),
        ({"run.failed": []}, "must not be empty", "condition"),
        ({"run.failed": ["== 0", 7]}, "must be a string, an object or a list, got 7", "condition"),
    ],
)
def test_what_is_wrong_is_said_before_the_first_request(
    validate: Callable[[Any], str], threshold: dict[str, Any], what: str, remedy: str
) -> None:
    err = validate([{**LOAD, "thresholds": threshold}])
    (name,) = threshold
    assert err.startswith("t.json:1:")
    assert f': $[0].thresholds["{name}"]: ' in err
    assert what in err
    assert remedy in err


@pytest.fixture
def validate(tmp_path: Path) -> Callable[[Any], str]:
    """The problems of a scenario file."""
    from kfp_perf.config import TestConfig
    from kfp_perf.errors import InputError
    from kfp_perf.plan import make_plan

    def problems(scenarios: Any) -> str:
        (tmp_path / "t.json").write_text(json.dumps(scenarios))
        with pytest.raises(InputError) as wrong:
            make_plan(tmp_path / "t.json", TestConfig())
        return str(wrong.value).replace(str(tmp_path) + "/", "")

    return problems


def finished(folder: Path, thresholds: list[dict[str, Any]], *, killed: bool) -> dict[str, Any]:
    """The result of runs, one a second, of which those due from 60 s on take 40 s in place of 10."""
    result = ResultWriter.create(folder, "t", T0)
    scenarios = [{"name": "s", "folder": "s", "start_seconds": 0.0}]
    given = [{"scenario": "s", "where": f"$.{place}", **one} for place, one in enumerate(thresholds)]
    result.save_given({"name": "t", "scenarios": scenarios, "thresholds": given})
    writer = ScenarioWriter(result.scenario_folder("s"), T0)
    last = 110.0 if killed else 200.0
    writer.info(
        ScenarioInfo(
            name="s",
            mode="PIPELINE_RUN",
            start_at=T0,
            end_at=T0 + 120.0,
            measured_from=T0,
            open_load=True,
            started=T0,
            finished=0.0 if killed else T0 + last,
            measured=not killed,
            ended=not killed,
        )
    )
    for due in range(120):
        seen = due + (10.0 if due < 60 else 40.0)
        if seen <= last:
            writer.run(
                RunRecord(
                    scenario="s",
                    name=f"r{due}",
                    run_id="i",
                    due=T0 + due,
                    outcome=Outcome.SUCCEEDED,
                    seen_finished=T0 + seen,
                )
            )
    for second in range(1, int(min(last, 120.0)) + 1):
        writer.state(ScenarioCounters(scenario="s", at=T0 + second, due=second, started=second), {})
    writer.close()
    if not killed:
        result.save_health({"over": True})
    return result_document(TestResult(result.path))


@pytest.mark.parametrize("killed", [False, True])
def test_the_verdict_is_that_of_the_worst_window(tmp_path: Path, *, killed: bool) -> None:
    conditions = ("< 30s over 20s", "< 1m over 20s", "< 30s over 2m", "< 1m")
    thresholds = [{"metric": "run.visible.p50", "condition": condition} for condition in conditions]
    document = finished(tmp_path, thresholds, killed=killed)
    judged = {row["condition"]: row for row in document["thresholds"] if not row["default"]}
    assert judged["< 1m over 20s"]["judged"] == "kept"
    broken = judged["< 30s over 20s"]
    assert broken["judged"] == "not kept"
    # Of the twenty runs of a window that begins at 51 s eleven are slow.
    begin, end = broken["window"]
    assert begin == pytest.approx(51.0, abs=1.1)
    assert end - begin == 20.0
    assert broken["value"] == pytest.approx(40.0, rel=0.01)
    assert "s from 0:5" in broken["reason"]
    assert broken["reason"].endswith("min, not < 30s over 20s")
    assert broken["count"] == 20
    assert judged["< 30s over 2m"]["judged"] == ("not enough data" if killed else "kept")
    assert judged["< 1m"]["window"] is None
    assert document["verdict"]["exit_code"] == (4 if killed else 1)
