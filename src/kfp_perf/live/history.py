"""The history of a test in a bounded number of points, however long it lasts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kfp_perf.live.snapshot import Snapshot

_MOST_POINTS = 600


@dataclass(frozen=True, slots=True)
class Point:
    """The test at one time: seconds since its start, rates a second, latencies in seconds, counts so far."""

    at: float
    requests_per_second: float
    latency_p50: float | None
    latency_p99: float | None
    in_flight: int
    ended: int
    errors: int


class History:
    """Points, one per snapshot at first; when there are too many, every other one is dropped, and so on."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self._every = 1
        self._seen = 0

    def add(self, snapshot: Snapshot) -> None:
        """Add a state; a test that has not started adds no point."""
        if snapshot.elapsed_seconds <= 0:
            return
        self._seen += 1
        if self._seen % self._every:
            return
        scenarios = snapshot.scenarios
        self.points.append(
            Point(
                at=snapshot.elapsed_seconds,
                requests_per_second=snapshot.requests_per_second,
                latency_p50=snapshot.latency_p50,
                latency_p99=snapshot.latency_p99,
                in_flight=sum(one.in_flight for one in scenarios),
                ended=sum(one.succeeded + one.failed for one in scenarios),
                errors=sum(snapshot.errors.values()),
            )
        )
        if len(self.points) > _MOST_POINTS:
            del self.points[1::2]
            self._every *= 2
