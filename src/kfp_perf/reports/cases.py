"""A result as test cases, as CI systems and pytest count them: one for each scenario and each threshold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from kfp_perf.errors import ExitCode
from kfp_perf.reports.document import complete
from kfp_perf.reports.quantities import between_of, clock_of, condition_of, count_of, quantity_of

if TYPE_CHECKING:
    from collections.abc import Iterator

WHOLE_TEST = "the whole test"
_THRESHOLDS_MISSING = "The verdict is that the test failed, and no reason is in the result."


class CaseOutcome(StrEnum):
    """The outcome of a case. A failure is of the target; an error means that it could not be judged."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case: of a scenario, or of one of its thresholds.

    `scenario` is None for the whole test, and `metric` is None where the case is of no threshold. `message` is one
    line and says why it did not pass (empty: it did); `details` has the value, the bound and the margin of a
    threshold. `seconds` is how long a scenario took, 0 for a threshold. `line` is where it is in the scenario file,
    of a default threshold where its scenario is (None: not known).
    """

    scenario: str | None
    name: str
    outcome: CaseOutcome
    metric: str | None = None
    message: str = ""
    details: str = ""
    seconds: float = 0.0
    line: int | None = None

    @property
    def went_wrong(self) -> bool:
        """Whether it is a failure or an error."""
        return self.outcome in {CaseOutcome.FAILED, CaseOutcome.ERROR}


#: Judgements that say nothing of a test that was cut short.
_UNDECIDED = frozenset({"not enough data", "cannot be told"})
#: What is said of a threshold beside its numbers.
_FLAGS = {"default": "a default threshold", "aborted": "it ended the test"}
#: Verdicts after which no scenario is judged: the figures are not of the target, or not of the whole load.
_NOTHING_JUDGED = frozenset({ExitCode.INVALID, ExitCode.INTERRUPTED})


def cases_of(document: dict[str, Any]) -> list[CaseResult]:
    """Return the cases of a result document: each scenario with its thresholds, then those of the whole test.

    A scenario passes if it did its work. One of an invalid or interrupted test is an error, as is one that the
    target ended. Thresholds are skipped where the test cannot judge them: all of an invalid test; of an
    interrupted one those that were kept until then, or could not be judged. So is a threshold relative to a
    baseline that is undecided, where that is accepted. A case of the whole test is added where the verdict is not
    good and no other case has failed.
    """
    whole, _ = complete(document)
    found = whole.get("thresholds")
    judged = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    names = [str(one["name"]) for one in whole["scenarios"]]
    cases = []
    for one in whole["scenarios"]:
        of_scenario = _of_scenario(one, whole)
        cases.append(of_scenario)
        cases += [
            _of_threshold(each, whole, of_scenario.line)
            for each in judged
            if each.get("scenario") == one["name"]
        ]
    cases += [_of_threshold(each, whole) for each in judged if each.get("scenario") not in names]
    good = whole["verdict"]["exit_code"] == ExitCode.GOOD
    if not good and not any(case.went_wrong for case in cases):
        cases.append(_of_the_test(whole))
    return cases


def _of_scenario(scenario: dict[str, Any], document: dict[str, Any]) -> CaseResult:
    code, error = document["verdict"]["exit_code"], str(scenario["error"] or "")
    outcome, message = CaseOutcome.PASSED, ""
    if error:
        failed = scenario["exit_code"] == ExitCode.FAILED
        outcome, message = CaseOutcome.FAILED if failed else CaseOutcome.ERROR, error
    elif code in _NOTHING_JUDGED:
        outcome, message = CaseOutcome.ERROR, _why(document)
    return CaseResult(
        str(scenario["name"]),
        str(scenario["name"]),
        outcome,
        message=_line(message),
        details=message,
        seconds=_seconds_between(scenario["started"], scenario["finished"]),
        line=_line_number(scenario),
    )


def _of_threshold(
    judged: dict[str, Any], document: dict[str, Any], of_scenario: int | None = None
) -> CaseResult:
    scenario, metric = judged.get("scenario"), str(judged.get("metric"))
    code, passed = document["verdict"]["exit_code"], bool(judged.get("passed"))
    outcome, why = CaseOutcome.PASSED, ""
    if not passed:
        outcome, why = CaseOutcome.FAILED, f"{metric} {judged.get('reason') or 'failed'}"
    elif judged.get("reason"):
        outcome, why = CaseOutcome.SKIPPED, f"Accepted: {metric} {judged['reason']}"
    if code == ExitCode.INVALID or (
        code == ExitCode.INTERRUPTED and (passed or judged.get("judged") in _UNDECIDED)
    ):
        outcome, why = CaseOutcome.SKIPPED, f"Not judged: {_why(document)}"
    return CaseResult(
        None if scenario is None else str(scenario),
        # The condition as it was written: a name should not change with the value of a baseline.
        " ".join(f"{metric} {judged.get('condition') or ''}".split()),
        outcome,
        metric=metric,
        message=_line(why),
        details=details_of(judged),
        line=_line_number(judged) or of_scenario,
    )


def _of_the_test(document: dict[str, Any]) -> CaseResult:
    outcome = CaseOutcome.FAILED
    if document["verdict"]["exit_code"] != ExitCode.FAILED:
        outcome = CaseOutcome.ERROR
    reasons = "\n".join(map(str, document["verdict"]["reasons"])) or _why(document)
    return CaseResult(None, WHOLE_TEST, outcome, message=_line(reasons), details=reasons)


def _why(document: dict[str, Any]) -> str:
    verdict = document["verdict"]
    if verdict["reasons"]:
        return str(verdict["reasons"][0])
    return _THRESHOLDS_MISSING if verdict["exit_code"] == ExitCode.FAILED else str(verdict["text"])


def details_of(judged: dict[str, Any]) -> str:
    """The value of a threshold, the bound, the margin, the interval, and from what the value is made."""
    unit, between, bound = judged.get("unit"), judged.get("between"), judged.get("bound")
    value = "not reached" if judged.get("not_reached") else quantity_of(judged.get("value"), unit)
    if isinstance(between, list) and len(between) == 2:
        value = between_of(between[0], between[1], unit)
    bound_text = condition_of(judged)
    if isinstance(judged.get("baseline"), dict) and isinstance(bound, int | float):
        bound_text += f" ({quantity_of(bound, unit)})"
    parts = [f"{judged.get('metric')}: {value}, bound {bound_text}", *_numbers(judged, unit)]
    parts += [text for name, text in _FLAGS.items() if judged.get(name)]
    return "; ".join(parts)


def _numbers(judged: dict[str, Any], unit: Any) -> Iterator[str]:
    margin, count = judged.get("margin"), judged.get("count")
    if isinstance(margin, int | float):
        yield f"margin {quantity_of(margin, unit)}"
    if ends := _pair(judged.get("interval")):
        name = "run-to-run variation" if judged.get("baseline") else "95 % interval"
        yield f"{name} {quantity_of(ends[0], unit)} to {quantity_of(ends[1], unit)}"
    if window := _pair(judged.get("window")):
        yield f"worst window from {clock_of(window[0])} to {clock_of(window[1])} min"
    if isinstance(count, int):
        yield f"from {count_of(count, 'value')}"


def _pair(value: Any) -> tuple[float, float] | None:
    """Two numbers; None where one of them is missing."""
    match value:
        case [int() | float() as first, int() | float() as last]:
            return first, last
        case _:
            return None


def _line(text: str) -> str:
    return text.strip().partition("\n")[0].strip()


def _line_number(one: dict[str, Any]) -> int | None:
    found = one.get("line")
    return found if isinstance(found, int) else None


def _seconds_between(started: Any, finished: Any) -> float:
    try:
        lasted = datetime.fromisoformat(finished) - datetime.fromisoformat(started)
    except (TypeError, ValueError):
        return 0.0
    return max(0.0, lasted.total_seconds())
