"""What GitHub Actions shows: annotations by their commands, and a summary that fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from made_executions import write_side
from sample_results import Load, SampleTest

from kfp_perf.compare import compare_sides, read_side
from kfp_perf.errors import InputError, Position, Problem, TargetError
from kfp_perf.reports.github import (
    MOST_SUMMARY_BYTES,
    Annotation,
    Level,
    annotations_of_comparison,
    annotations_of_error,
    annotations_of_test,
    append_summary,
    limited,
    relative_to_workspace,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kfp_perf.result.reader import TestResult

KEPT = {"scenario": "steady", "metric": "run.success_rate", "condition": ">= 95%", "passed": True}
FAILED = {**KEPT, "passed": False, "reason": "is 90 %, not >= 95%", "judged": "not kept"}


def annotated(make: Callable[[SampleTest], TestResult], **fields: object) -> list[Annotation]:
    test = SampleTest(loads=(Load("steady", 5, 0.0, 60.0, 5.0),), **fields)  # type: ignore[arg-type]
    return annotations_of_test(make(test).document, "perf/nightly.json")


def test_messages_and_properties_are_escaped() -> None:
    one = Annotation(Level.ERROR, "a: b, 5%", "100% of\r\nx: y, z", "perf/a,b.json")
    assert str(one) == ("::error title=a%3A b%2C 5%25,file=perf/a%2Cb.json::100%25 of%0D%0Ax: y, z")
    assert str(Annotation(Level.NOTICE, "t", "x")) == "::notice title=t::x"


def test_an_error_for_each_threshold_that_failed(sample: Callable[[SampleTest], TestResult]) -> None:
    found = annotated(sample, exit_code=1, extra={"thresholds": [FAILED, KEPT], "warnings": ["Short."]})
    assert [(one.level, one.text) for one in found] == [
        (Level.ERROR, "steady: run.success_rate is 90 %, not >= 95%"),
        (Level.WARNING, "Short."),
    ]
    assert {one.file for one in found} == {"perf/nightly.json"}


def test_annotations_are_at_the_line_of_the_threshold_or_else_of_its_scenario(
    sample: Callable[[SampleTest], TestResult],
) -> None:
    default = {**FAILED, "metric": "load.fell_behind", "default": True, "line": None}
    extra = {
        "thresholds": [{**FAILED, "line": 12}, default, {**FAILED, "scenario": None}],
        "warnings": ["/x/perf/nightly.json:8:3: $[0].interval: is short", "nightly.json:7:3: other file"],
        "scenario_file": {"path": "/x/perf/nightly.json", "text": "[]"},
    }
    loads = (Load("steady", 5, 0.0, 60.0, 5.0),)
    document = sample(SampleTest(loads=loads, exit_code=1, extra=extra)).document
    document["scenarios"][0]["line"] = 3
    found = annotations_of_test(document, "perf/nightly.json")
    assert [one.line for one in found] == [12, 3, None, 8, None]
    assert str(found[0]).startswith("::error title=nightly%3A failed,file=perf/nightly.json,line=12::")


def test_a_notice_that_it_passed(sample: Callable[[SampleTest], TestResult]) -> None:
    found = annotated(sample, extra={"thresholds": [KEPT], "leftovers": ["run x"]})
    assert [(one.level, one.title, one.text) for one in found] == [
        (Level.WARNING, "nightly", "left on the server: run x"),
        (Level.NOTICE, "nightly: passed", "1 scenario; 1 threshold kept."),
    ]


def test_an_invalid_test_is_an_error(sample: Callable[[SampleTest], TestResult]) -> None:
    (one,) = annotated(sample, exit_code=5, reasons=["The generator was late."], extra={"thresholds": [KEPT]})
    assert (one.level, one.text) == (Level.ERROR, "steady: The generator was late.")


def test_each_problem_of_wrong_input_is_an_error_at_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[]")
    problems = [
        Problem(f"{tmp_path}/a.json: $[0].runTime", "is wrong", "right it", Position(7, 3)),
        Problem("API_PORT", "too"),
    ]
    found = annotations_of_error(InputError(problems), {"GITHUB_WORKSPACE": str(tmp_path)})
    assert [one.text for one in found] == list(map(str, problems))
    assert [(one.file, one.line) for one in found] == [("a.json", 7), ("", None)]
    assert str(found[0]).startswith("::error title=kfp-perf,file=a.json,line=7::")
    (one,) = annotations_of_error(TargetError("Not there."), {})
    assert (one.level, one.text) == (Level.ERROR, "Not there.")


def test_no_more_than_github_shows() -> None:
    given = [Annotation(level, "t", str(n)) for n in range(25) for level in (Level.NOTICE, Level.ERROR)]
    found = limited(given)
    assert [one.level for one in found] == [Level.ERROR] * 10 + [Level.NOTICE] * 10
    assert [one.text for one in found[:9]] == list(map(str, range(9)))
    assert found[9].text == "and 16 more, see the summary of the step"
    assert limited(given[:20]) == sorted(given[:20], key=lambda one: one.level != Level.ERROR)


def test_a_comparison_shows_failed_conditions_and_each_primary_metric(tmp_path: Path) -> None:
    write_side(tmp_path / "a", [10.0, 10.2, 9.9, 10.1])
    write_side(tmp_path / "b", [11.5, 11.6, 11.4, 11.7], first_minute=1)
    comparison = compare_sides(read_side([tmp_path / "a"]), read_side([tmp_path / "b"]))
    failures = comparison.regressions(0.05)
    found = annotations_of_comparison(comparison, failures)
    errors = [one for one in found if one.level is Level.ERROR]
    assert [one.text for one in errors] == failures
    assert any(one.level is Level.WARNING and "slower" in one.text for one in found)
    assert errors[0].title.endswith(": slower")


def test_the_summary_is_appended_and_cut_where_it_would_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    append_summary(path, b"### one")
    append_summary(path, b"### two")
    assert path.read_bytes() == b"### one\n### two\n"

    path.write_bytes(b"x" * (MOST_SUMMARY_BYTES - 1000))
    append_summary(path, b"### head\n\n#### first\nkept\n\n#### second\n" + b"| row |\n" * 1000)
    added = path.read_bytes()[MOST_SUMMARY_BYTES - 1000 :]
    assert added.startswith(b"### head\n\n#### first\nkept\n")
    assert b"| row |" not in added, "half a table is no table"
    assert added.endswith(b"at most 1 MiB a step.\n")
    assert path.stat().st_size <= MOST_SUMMARY_BYTES

    path.write_bytes(b"x" * MOST_SUMMARY_BYTES)
    append_summary(path, b"### head\n\n#### first\n")
    assert path.stat().st_size == MOST_SUMMARY_BYTES


@pytest.mark.parametrize(
    ("file", "workspace", "told"),
    [
        ("perf/a.json", ".", "perf/a.json"),
        ("a.json", ".", ""),
        ("perf/a.json", "", ""),
        ("../out.json", ".", ""),
    ],
)
def test_files_are_named_from_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, workspace: str, told: str
) -> None:
    repository = tmp_path / "repository"
    (repository / "perf").mkdir(parents=True)
    (repository / "perf" / "a.json").write_text("[]")
    (tmp_path / "out.json").write_text("[]")
    monkeypatch.chdir(repository)
    assert relative_to_workspace(file, {"GITHUB_WORKSPACE": workspace}) == told
