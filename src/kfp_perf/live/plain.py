"""A test's state in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kfp_perf.live.snapshot import Snapshot


def line_of(snapshot: Snapshot) -> str:
    """The state in one line of text."""
    scenarios = snapshot.scenarios
    parts = [
        f"{clock_of(snapshot.elapsed_seconds)} of {clock_of(snapshot.planned_seconds)}",
        f"{sum(s.in_flight for s in scenarios)} runs in flight",
        f"{sum(s.succeeded for s in scenarios)} succeeded",
    ]
    if failed := sum(s.failed for s in scenarios):
        parts.append(f"{failed} failed")
    if lost := sum(s.lost for s in scenarios):
        parts.append(f"{lost} lost")
    parts.append(f"{snapshot.requests_per_second:.1f} requests/s")
    if snapshot.latency_p99 is not None:
        parts.append(f"p99 {seconds_of(snapshot.latency_p99)}")
    if errors := sum(snapshot.errors.values()):
        parts.append(f"{errors} errors")
    if any(s.away for s in scenarios):
        parts.append("the target does not answer")
    return ", ".join(parts)


def clock_of(seconds: float) -> str:
    """A time as minutes and seconds, with hours where there are any."""
    whole = max(0, round(seconds))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def seconds_of(seconds: float | None) -> str:
    """A time with the unit that suits it: `870 us`, `12.3 ms`, `4.56 s`, `3 min 20 s`."""
    if seconds is None:
        return "–"
    for unit, factor in (("us", 1e6), ("ms", 1e3)):
        value = seconds * factor
        if abs(value) < 1000:
            return f"{value:.0f} {unit}" if abs(value) >= 100 or unit == "us" else f"{value:.1f} {unit}"
    if abs(seconds) < 120:
        return f"{seconds:.2f} s" if abs(seconds) < 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 120 else f"{minutes / 60:.1f} h"
