"""The words of a search for the capacity: loads, the answer in a sentence, and what gave way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_perf.reports.tuning import SETTINGS, Setting

if TYPE_CHECKING:
    from kfp_perf.result.capacity import CapacityRecord, CauseRecord

_PLURAL = {"run": "runs", "read": "reads", "operation": "operations"}

WHY = {
    "api server": "CreateRun and the final reports of runs wait for the API server's Kubernetes client",
    "controller": "runs queue for Argo's workflow controller",
    "pods": "pods wait for a place on a node",
    "agent": "runs that have ended wait for the persistence agent to report them",
    "unknown": "it is unknown what limits it",
}
"""What happens beyond the limit, by the component that gave way."""

SETTINGS_OF: dict[str, tuple[Setting, ...]] = {
    "api server": SETTINGS["submit"],
    "controller": SETTINGS["queue"],
    "pods": SETTINGS["driver"],
    "agent": SETTINGS["visible"],
}
"""The settings of each component, the one to look at first at the beginning."""

ENDED = {
    "found": "",
    "at least": "",
    "below": "",
    "plateaus": "The search used up its plateaus before the interval was narrow enough.",
    "duration": "The next plateau would have taken longer than --max-duration allows.",
    "interrupted": "The search was interrupted.",
    "outage": "The target failed during the search.",
    "no load": "The last plateau had no load, as its scenario failed before that: see its own report.",
    "invalid": "The load generator did not keep up, so higher loads could not be measured.",
    "": "The search did not reach its end.",
}
"""Why a search ended without an answer, by its status."""


def in_unit(rate: float, operation: str, *, closed: bool) -> tuple[float, str]:
    """A load as a number and its unit: runs are counted a minute, as KFP takes that long for one."""
    if closed:
        return rate, "in flight"
    return (rate * 60.0, "a minute") if operation == "run" else (rate, "a second")


def number_of(value: float) -> str:
    """A number with three digits, or all of a larger one."""
    return f"{value:,.0f}" if value >= 100.0 else f"{value:.3g}"


def load_words(rate: float, operation: str, *, closed: bool) -> str:
    """A load in words: `96 runs a minute`, `1 run in flight`."""
    value, unit = in_unit(rate, operation, closed=closed)
    return f"{number_of(value)} {operation if value == 1.0 else _PLURAL.get(operation, operation)} {unit}"


def rate_words(rate: float, record: CapacityRecord) -> str:
    """A load as a number alone, in the unit of the answer."""
    return number_of(in_unit(rate, record.operation, closed=record.closed)[0])


def unit_words(record: CapacityRecord) -> str:
    """The unit of the answer: `runs a minute`."""
    unit = in_unit(1.0, record.operation, closed=record.closed)[1]
    return f"{_PLURAL.get(record.operation, record.operation)} {unit}"


def sentence(record: CapacityRecord) -> str:
    """The answer in a sentence."""
    unit = unit_words(record)
    if record.rate is not None and record.low is not None and record.high is not None:
        interval = f"({rate_words(record.low, record)} to {rate_words(record.high, record)})"
        return f"{rate_words(record.rate, record)} {unit} {interval}; beyond that, {beyond(record)}."
    if record.status == "at least" and record.held is not None:
        return f"At least {rate_words(record.held, record)} {unit}: the highest load of the search held."
    if record.status == "below":
        lowest = min((one.rate for one in record.plateaus if not one.held), default=record.first_rate)
        return f"Less than {rate_words(lowest, record)} {unit}: no load of the search held; {beyond(record)}."
    known = [
        f"at least {rate_words(record.low, record)}" if record.low is not None else "",
        f"less than {rate_words(record.high, record)}" if record.high is not None else "",
    ]
    bounds = " and ".join(filter(None, known))
    if bounds:
        return f"{bounds[0].upper()}{bounds[1:]} {unit}."
    return "Unknown: only the light load was measured." if record.plateaus else "No load was measured."


def beyond(record: CapacityRecord) -> str:
    """What happens beyond the limit."""
    cause = record.cause
    if cause is None:
        return WHY["unknown"]
    if cause.thresholds and cause.component == "unknown" and not cause.phases:
        return f"a threshold is not kept ({cause.thresholds[0]})"
    return WHY[cause.component]


def caveats(record: CapacityRecord) -> list[str]:
    """What bears on the answer."""
    found = [ENDED.get(record.status, "")]
    if record.rate is not None and record.rate < record.first_rate:
        found.append("The light load (--from) was above the limit, so the search went below it.")
    invalid = [str(one.execution) for one in record.plateaus if one.invalid]
    if invalid and record.status != "invalid":
        found.append(
            f"Measured again because the load generator did not keep up: execution {', '.join(invalid)}."
        )
    found.append(
        "One search cannot tell a change from the variation between searches: repeat it to compare."
        if record.rate is not None
        else ""
    )
    return [one for one in found if one]


def setting_of(cause: CauseRecord) -> Setting | None:
    """The setting that governs what gave way, by the evidence if there is any; None where it is unknown."""
    settings = SETTINGS_OF.get(cause.component)
    if settings is None:
        return None
    places = [one.setting for one in cause.evidence if one.component == cause.component]
    return settings[places[0] if places else 0]
