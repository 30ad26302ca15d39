"""A test's state in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_perf.live.snapshot import waits_of
from kfp_perf.reports.quantities import clock_of, count_of, seconds_of

if TYPE_CHECKING:
    from kfp_perf.live.snapshot import Snapshot


def line_of(snapshot: Snapshot) -> str:
    """The state in one line of text."""
    scenarios = snapshot.scenarios
    parts = [
        f"{clock_of(snapshot.elapsed_seconds)} of {clock_of(snapshot.planned_seconds)}",
        f"{sum(s.in_flight for s in scenarios)} in flight",
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
        parts.append(count_of(errors, "error"))
    parts += waits_of(scenarios, snapshot.elapsed_seconds)
    if any(s.away for s in scenarios):
        parts.append("the target does not answer")
    return ", ".join(parts)
