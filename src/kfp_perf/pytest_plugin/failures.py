"""What pytest shows of a test that did not pass: values, bounds and margins, and where the report is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_perf.errors import InputError, TargetError
from kfp_perf.execution import TestFailed
from kfp_perf.reports.cases import CaseOutcome, cases_of
from kfp_perf.reports.quantities import count_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType

    from kfp_perf.reports.cases import CaseResult
    from kfp_perf.result.reader import TestResult

#: The name of the property of a pytest report that holds the verdict of the file and the path of its report.
PROPERTY = "kfp_perf_result"
_HERE = Path(__file__).parents[1]
_WORDS = {
    CaseOutcome.PASSED: "kept",
    CaseOutcome.FAILED: "not kept",
    CaseOutcome.SKIPPED: "not judged",
    CaseOutcome.ERROR: "error",
}


def failure_text(cases: Sequence[CaseResult], result: TestResult) -> str:
    """What went wrong in the first line; then each threshold, those that failed first, and the report.

    `cases` are those to show; at least one of them went wrong.
    """
    wrong = [case for case in cases if case.went_wrong]
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    lines = [f"{wrong[0].message}{more}", ""]
    ordered = sorted(cases, key=lambda case: not case.went_wrong)
    wide = max(len(word) for word in _WORDS.values())
    lines += [
        f"  {_WORDS[case.outcome]:<{wide}}  {_told(case)}"
        for case in ordered
        if case.metric or case.went_wrong
    ]
    return "\n".join([*lines, f"  {'report':<{wide}}  {report_of(result)}"])


def readable(error: Exception, project: Path) -> str:
    """The text of an error that a test of kfp-perf ended with; empty for any other error.

    Its last line is where in the `project`, a folder, the test was called.
    """
    if isinstance(error, TestFailed):
        cases = cases_of(error.result.document)
        text = failure_text(cases, error.result) if any(case.went_wrong for case in cases) else str(error)
    elif isinstance(error, InputError | TargetError):
        text = str(error)
    else:
        return ""
    return f"{text}\n{_place_of(error.__traceback__, project)}".rstrip()


def report_of(result: TestResult) -> Path:
    """The page of a result, or its folder where there is none; relative to the current folder where it is below."""
    page = result.path / "report.html"
    path = page if page.exists() else result.path
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def verdict_of(result: TestResult) -> str:
    """The verdict of a test and where its report is, in a line."""
    document = result.document
    verdict, cases = document.get("verdict", {}), cases_of(document)
    failed = sum(case.went_wrong for case in cases)
    checks = f" ({failed} of {count_of(len(cases), 'check')} failed)" if failed else ""
    return f"{document.get('name', '')}: {verdict.get('text', 'unknown')}{checks}  {report_of(result)}"


def verdict_lines(properties: Iterable[tuple[str, Any]]) -> Iterator[str]:
    """The verdicts among the properties of reports."""
    return (str(value) for name, value in properties if name == PROPERTY)


def _told(case: CaseResult) -> str:
    scenario = f"{case.scenario}: " if case.scenario and case.metric else ""
    return f"{scenario}{case.details or case.message}"


def _place_of(traceback: TracebackType | None, project: Path) -> str:
    """The line of the project that the error went through last; empty where it went through none."""
    place = ""
    while traceback is not None:
        file = Path(traceback.tb_frame.f_code.co_filename)
        if project in file.parents and _HERE not in file.parents and "site-packages" not in file.parts:
            place = f"  at {file.relative_to(project)}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return place
