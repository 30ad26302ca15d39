"""Thresholds relative to a baseline, judged by all executions of a repetition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from made_executions import times, total, write_execution

from kfp_perf.errors import ExitCode
from kfp_perf.reports.study_reports import draw_markdown
from kfp_perf.result.reader import TestResult
from kfp_perf.studies import Repetition, run_executions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from kfp_perf.result.study import Study
    from kfp_perf.studies import PlannedExecution

BASE = [10.0, 10.3, 9.7, 10.1, 9.9]
GIVEN: dict[str, Any] = {
    "thresholds": [
        {"scenario": None, "metric": "run.visible.mean", "condition": "<= baseline + 10%", "where": "x"},
        {"scenario": None, "metric": "run.failed", "condition": "== 0", "where": "x"},
    ],
    "baseline": {
        "name": "base",
        "executions": [str(place) for place in range(len(BASE))],
        "values": [{"scenario": None, "metric": "run.visible.mean", "values": BASE}],
    },
}


def repeated(
    results: Path,
    means: Sequence[float],
    *,
    given: dict[str, Any] | None = None,
    figures: Sequence[dict[str, Any]] = (),
    **options: Any,
) -> tuple[Study, list[PlannedExecution]]:
    planned: list[PlannedExecution] = []

    def run(one: PlannedExecution, folder: Path) -> TestResult:
        place = len(planned)
        whole = figures[place] if figures else total(means[place])
        write_execution(folder, whole, minute=place, given=GIVEN if given is None else given)
        planned.append(one)
        return TestResult.open(folder)

    count = len(figures or means)
    return run_executions(Repetition(count, warmup=False, **options), "nightly", results, run), planned


@pytest.mark.parametrize(
    ("means", "options", "judged", "code"),
    [
        ([10.1, 10.0, 10.4, 9.8, 10.2], {}, "kept", ExitCode.GOOD),
        ([10.6], {}, "cannot be told", ExitCode.FAILED),
        ([10.6], {"accept_undecided": True}, "cannot be told", ExitCode.GOOD),
        ([10.9, 11.1, 10.8, 11.2, 11.0], {}, "cannot be told", ExitCode.FAILED),
        ([13.0, 13.1, 12.9], {}, "not kept", ExitCode.FAILED),
        ([13.0, 13.1, 12.9], {"accept_undecided": True}, "not kept", ExitCode.FAILED),
    ],
)
def test_all_executions_are_judged_together(
    tmp_path: Path, means: list[float], options: dict[str, Any], judged: str, code: ExitCode
) -> None:
    study, planned = repeated(tmp_path, means, **options)
    (found,) = study.record.answer["thresholds"]
    assert (found["metric"], found["judged"], found["count"]) == ("run.visible.mean", judged, len(means))
    assert found["baseline"]["executions"] == 5
    assert study.record.exit_code == code
    assert all(one.judged_together for one in planned)
    page = draw_markdown(study)["report.md"].decode()
    assert "Were the thresholds kept?" in page
    assert "\\<= baseline + 10% (baseline 10.0 s (5 executions), bound 11.0 s)" in page


def test_several_executions_tell_what_one_cannot(tmp_path: Path) -> None:
    alone, _ = repeated(tmp_path / "one", [10.5])
    together, _ = repeated(tmp_path / "five", [10.5, 10.4, 10.3, 10.4, 10.35])
    assert alone.record.answer["thresholds"][0]["judged"] == "cannot be told"
    assert together.record.answer["thresholds"][0]["judged"] == "kept"


def test_an_execution_that_has_no_value_is_not_enough_data(tmp_path: Path) -> None:
    figures = [total(10.0), total(10.0), total(10.0)]
    figures[1]["runs"]["visible_seconds"] = {"n": 0}
    study, _ = repeated(tmp_path, [], figures=figures)
    (found,) = study.record.answer["thresholds"]
    assert found["judged"] == "not enough data"
    assert found["reason"] == "has not enough data: 1 of 3 executions have no value of it"
    assert study.record.exit_code == ExitCode.FAILED


@pytest.mark.parametrize(("not_reached", "judged"), [(3, "not kept"), (1, "cannot be told")])
def test_executions_that_did_not_reach_it(tmp_path: Path, not_reached: int, judged: str) -> None:
    given = {
        "thresholds": [
            {"scenario": None, "metric": "run.visible.p95", "condition": "<= baseline + 10%", "where": "x"}
        ],
        "baseline": GIVEN["baseline"]
        | {"values": [{"scenario": None, "metric": "run.visible.p95", "values": BASE}]},
    }
    figures = [total(10.0) for _ in range(3)]
    for one in figures[:not_reached]:
        one["runs"]["visible_seconds"] = times(10.0, above=20)
    study, _ = repeated(tmp_path, [], given=given, figures=figures)
    (found,) = study.record.answer["thresholds"]
    assert (found["judged"], found["not_reached"]) == (judged, True)


def test_without_relative_thresholds_there_is_nothing_to_judge(tmp_path: Path) -> None:
    study, _ = repeated(tmp_path, BASE, given={"thresholds": GIVEN["thresholds"][1:]})
    assert "thresholds" not in study.record.answer
    assert study.record.exit_code == ExitCode.GOOD
