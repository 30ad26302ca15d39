"""The state of a test at one time, as it is sent to the displays."""

from __future__ import annotations

import msgspec

from kfp_perf.reports.quantities import clock_of, quantity_of, seconds_of


class ScenarioState(msgspec.Struct, omit_defaults=True):
    """One scenario; times in seconds from the start of the test."""

    name: str
    mode: str
    phase: str
    start_seconds: float
    end_seconds: float
    in_flight: int = 0
    succeeded: int = 0
    failed: int = 0
    lost: int = 0  # refused, lost, unfinished, never started or cut off
    requests: int = 0
    cleaned_up: int = 0
    to_clean_up: int = 0
    away: bool = False  # the target does not answer
    waiting_for: str = ""  # what it waits for, and until when at most
    waiting_until: float | None = None


def waits_of(scenarios: list[ScenarioState], elapsed: float) -> list[str]:
    """What scenarios wait for and until when at most, a line each; waiting for the start time is left out."""
    lines = []
    for one in scenarios:
        if one.waiting_for and one.phase != "waiting":
            left = None if one.waiting_until is None else max(0.0, one.waiting_until - elapsed)
            until = "" if left is None else f", for {clock_of(left)} more at most"
            lines.append(f"{one.name} waits for {one.waiting_for}{until}")
    return lines


class ThresholdState(msgspec.Struct, omit_defaults=True):
    """A threshold so far; `value` is in the unit of its metric, None where there is none.

    `state` is `kept`, `not kept`, `too few` (values to judge it) or `at the end` (it is judged then only).
    `at_least`: the value may be larger; `not_reached`: it lies above all that was answered. `final`: no more can be
    done about a state of `not kept`, as it is of one window, or of a number that only grows.
    """

    metric: str
    condition: str
    unit: str
    state: str
    value: float | None = None
    scenario: str = ""
    at_least: bool = False
    not_reached: bool = False
    default: bool = False
    final: bool = False


class Snapshot(msgspec.Struct, omit_defaults=True):
    """The whole test; latencies and lateness in seconds, over the last few seconds, None where there were none."""

    name: str
    target: str
    elapsed_seconds: float
    planned_seconds: float
    scenarios: list[ScenarioState]
    requests_per_second: float = 0.0
    runs_per_minute: float = 0.0  # that succeeded, over the last minute
    latency_p50: float | None = None
    latency_p99: float | None = None
    lateness_p99: float | None = None
    runs_due: int = 0  # runs that were due until now
    visible_p50: float | None = (
        None  # their median from due to visible success; None: not reached, or no runs
    )
    errors: dict[str, int] = {}
    thresholds: list[ThresholdState] = []
    evidence: list[str] = []  # how the sources of evidence stand, a few words each
    stopping: bool = False
    emulator: bool = False


def threshold_value(one: ThresholdState) -> str:
    """The value of a threshold so far, in words; empty where there is none."""
    if one.not_reached:
        return "not reached"
    if one.value is None:
        return ""
    return f"{'≥ ' if one.at_least else ''}{quantity_of(one.value, one.unit)}"


def threshold_state(one: ThresholdState) -> str:
    """Its state in words."""
    match one.state:
        case "kept":
            return "kept so far"
        case "not kept" if not one.final:
            return "not kept so far"
        case "too few":
            return "too early to tell"
    return one.state


#: The most urgent first.
_ORDER = ("not kept", "kept", "too few", "at the end")


def ordered_thresholds(snapshot: Snapshot) -> list[ThresholdState]:
    """The thresholds that can be judged meanwhile: those that are not kept first."""
    meanwhile = [one for one in snapshot.thresholds if one.state != "at the end"]
    return sorted(meanwhile, key=lambda one: _ORDER.index(one.state) if one.state in _ORDER else len(_ORDER))


def visible_text(snapshot: Snapshot) -> str:
    """The median from due to visible success in words."""
    return "not reached" if snapshot.visible_p50 is None else seconds_of(snapshot.visible_p50)


class LogLine(msgspec.Struct):
    """A line of the log, shown above the display."""

    text: str
    level: int


class Finish(msgspec.Struct):
    """The verdict, the path of the report (empty: there is none), and why the test did not pass."""

    verdict: str
    report: str
    why: str = ""


class FeedMessage(msgspec.Struct, omit_defaults=True):
    """A line of the feed: a snapshot, a line of the log, or the end."""

    snapshot: Snapshot | None = None
    log: LogLine | None = None
    finish: Finish | None = None
