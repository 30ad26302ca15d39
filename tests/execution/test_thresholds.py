"""Thresholds as their user meets them: before the first request, and at the end."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

from program import Program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from program import Server

    Start = Callable[..., Program]

LOAD: dict[str, Any] = {
    "name": "load",
    "mode": "PIPELINE_RUN",
    "runTime": "1s",
    "numTimes": 8,
    "pipelineFileName": "hello.yaml",
}


def test_a_threshold_that_is_not_kept_fails_the_test(program: Start, server: Server) -> None:
    whole = {
        "run.duration.p50": "< 200ms",
        "run.success_rate": ">= 0.9",
        "api.CreateRun.latency.p99.9": "< 1m",
    }
    scenario = {**LOAD, "thresholds": {"run.failed": "== 0", "run.duration.max": "> 1h"}}
    one = program({"thresholds": whole, "scenarios": [scenario]}, "--host", server.url)
    code, out, err = one.end()
    assert code == 1, err
    document = one.result()
    verdict = document["verdict"]
    assert (verdict["text"], verdict["exit_code"]) == ("failed", 1)
    (why,) = verdict["reasons"]
    assert why.startswith("3 of 8 ")
    assert "run.duration.p50" in why
    judged = {(row["scenario"], row["metric"]): row for row in document["thresholds"]}
    assert {key: row["judged"] for key, row in judged.items()} == {
        (None, "run.duration.p50"): "not kept",
        (None, "run.success_rate"): "kept",
        (None, "api.CreateRun.latency.p99.9"): "not enough data",
        ("load", "run.failed"): "kept",
        ("load", "run.duration.max"): "not kept",
        ("load", "api.CreateRun.error_rate"): "kept",
        ("load", "load.slot_time_lost"): "kept",
        (None, "cleanup.left"): "kept",
    }
    median = judged[None, "run.duration.p50"]
    told = document["total"]["runs"]["duration_seconds"]
    assert (median["value"], median["count"], median["bound"]) == (told["p50"], told["n"], 0.2)
    assert median["margin"] == 0.2 - told["p50"] < 0
    assert median["interval"] == told.get("intervals", {}).get("p50")
    assert (
        judged["load", "run.duration.max"]["value"]
        == document["scenarios"][0]["metrics"]["runs"]["duration_seconds"]["max"]
    )
    lines = out.splitlines()
    assert any("run.duration.p50 < 200ms" in line and "✗ not kept" in line for line in lines)
    assert any("load: run.failed == 0" in line and "✓ kept" in line for line in lines)
    page = (one.folder / "results/latest/report.html").read_text()
    assert "Were the thresholds kept?" in page
    reported = Program(one.folder, "report", "results/latest", "-f", "csv")
    assert reported.end()[0] == 0
    with (one.folder / "results/latest/csv/thresholds.csv").open() as file:
        assert [row["judged"] for row in csv.DictReader(file)] == [row["judged"] for row in judged.values()]
    assert server.ours() == {}


def test_thresholds_that_are_kept_change_nothing(program: Start, server: Server) -> None:
    bounds = {"run.success_rate": "== 1", "run.duration.p50": "< 1h", "generator.lateness.max": "< 1h"}
    one = program([{**LOAD, "thresholds": bounds}], "--host", server.url)
    code, out, err = one.end()
    assert code == 0, err
    document = one.result()
    assert document["verdict"]["text"] == "passed"
    assert document["verdict"]["reasons"] == []
    assert [row["passed"] for row in document["thresholds"]] == [True] * 6
    assert out.count("✓ kept") == 3, "those of the file"
    assert "✓ 3 default thresholds kept" in out


def test_a_test_whose_default_thresholds_are_lifted_has_none(program: Start, server: Server) -> None:
    lifted = {"run.success_rate": None, "api.CreateRun.error_rate": None, "load.slot_time_lost": None}
    scenario = {**LOAD, "thresholds": lifted}
    one = program({"thresholds": {"cleanup.left": None}, "scenarios": [scenario]}, "--host", server.url)
    code, out, err = one.end()
    assert code == 0, err
    assert one.result()["thresholds"] == []
    assert "thresholds" not in out


def test_a_metric_that_does_not_exist_is_an_error_before_the_first_request(
    program: Start, server: Server, tmp_path: Path
) -> None:
    one = program(
        {
            "thresholds": {"run.duration.p95": "< 1s over 5m"},
            "scenarios": [{**LOAD, "thresholds": {"run.sucess_rate": ">= 0.9"}}],
        },
        *("--host", server.url),
    )
    code, out, err = one.end()
    assert code == 2
    validated = Program(tmp_path, "validate", "t.json")
    assert (code, out, err) == validated.end()
    assert 't.json:1:17: $.thresholds["run.duration.p95"]: ' in err
    assert '$.scenarios[0].thresholds["run.sucess_rate"]: ' in err
    assert "run.success_rate" in err
    assert "run.visible.p50 to p99" in err, "it says what has windows"
    assert not (tmp_path / "results").exists()


def test_what_is_graver_wins_and_thresholds_are_judged_all_the_same(program: Start, server: Server) -> None:
    bounds = {"run.due": ">= 1000000", "run.refused": "== 0"}
    one = program([{**LOAD, "runTime": "10min", "thresholds": bounds}], "--host", server.url)
    one.wait_for(" in flight, ")
    one.interrupt()
    code, out, err = one.end()
    assert code == 4, err
    document = one.result()
    assert document["verdict"]["text"] == "stopped before its end"
    stopped, why = document["verdict"]["reasons"]
    assert "stopped" in stopped
    assert why.startswith("1 of 5 ")
    assert "load: run.due" in why
    judged = {row["metric"]: row["judged"] for row in document["thresholds"]}
    assert (judged["run.due"], judged["run.refused"]) == ("not kept", "kept")
    assert "✗ not kept" in out
    assert server.ours() == {}
