"""The course of a test, cut into equal stretches of time: what the API did in each."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from kfp_perf.statistics.histogram import top_of
from kfp_perf.statistics.quantiles import binned_quantile

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from kfp_perf.result.reader import TestResult

_WIDTHS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
MOST_BUCKETS = 120


class Buckets:
    """Equal stretches from `start` (seconds since the Unix epoch), of a round number of seconds each."""

    def __init__(self, start: float, seconds: float, most: int = MOST_BUCKETS) -> None:
        self.start = start
        rough = max(seconds, 1.0) / most
        self.width = next((width for width in _WIDTHS if width >= rough), math.ceil(rough))
        self.count = max(1, math.ceil(max(seconds, 1.0) / self.width))
        self._whole = max(1, int(max(seconds, 1.0) / self.width))

    def index(self, time: float) -> int | None:
        """The stretch that holds a time; None for one before the first or after the last."""
        place = math.floor((time - self.start) / self.width)
        return place if 0 <= place < self.count else None

    def counts(self, times: Iterable[float]) -> NDArray[np.int64]:
        """How many of these times each stretch holds."""
        places = [place for place in map(self.index, times) if place is not None]
        return np.bincount(places, minlength=self.count).astype(np.int64)

    def per(
        self, counts: Sequence[float] | NDArray[np.int64], seconds: float
    ) -> list[tuple[float, float | None]]:
        """Counts as rates for so many seconds, over the middles of the stretches in seconds from the start.

        The last stretch is left out where the test ended within it, unless it is the only one.
        """
        factor = seconds / self.width
        return [(self.middle(place), float(counts[place]) * factor) for place in range(self._whole)]

    def middle(self, place: int) -> float:
        """The middle of a stretch, in seconds from the start."""
        return (place + 0.5) * self.width


class OperationCourse:
    """One operation, or several together, over the stretches: how many, how many failed, and how long they took."""

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets
        self.succeeded: NDArray[np.int64] = np.zeros(buckets.count, dtype=np.int64)
        self.failed: NDArray[np.int64] = np.zeros(buckets.count, dtype=np.int64)
        self._bins: defaultdict[int, list[tuple[NDArray[np.int64], NDArray[np.int64]]]] = defaultdict(list)

    def add(self, place: int, bins: NDArray[np.int64], counts: NDArray[np.int64], *, failed: bool) -> None:
        """Add what one second held."""
        if failed:
            self.failed[place] += counts.sum()
        else:
            self.succeeded[place] += counts.sum()
            self._bins[place].append((bins, counts))

    def quantiles(self, share: float) -> list[float | None]:
        """The quantile of the latencies of each stretch in seconds; None where nothing succeeded."""
        return [self._quantile(place, share) for place in range(self._buckets.count)]

    def _quantile(self, place: int, share: float) -> float | None:
        held = self._bins.get(place)
        if not held:
            return None
        bins = np.concatenate([bins for bins, _ in held])
        counts = np.concatenate([counts for _, counts in held])
        order = np.argsort(bins, kind="stable")
        at = binned_quantile(counts[order], share)
        return None if at is None else top_of(int(bins[order][at]))


class ApiCourse:
    """All operations over the stretches of a test, by purpose and name, and the load's requests together.

    `requests` is how many there are in all, within the stretches or not, without the warm-up's.
    """

    def __init__(self, buckets: Buckets) -> None:
        self.buckets = buckets
        self.operations: dict[tuple[str, str], OperationCourse] = {}
        self.load = OperationCourse(buckets)
        self.requests = 0

    def counts(self, purpose: str) -> NDArray[np.int64]:
        """How many requests each stretch holds for a purpose, good or bad."""
        total = np.zeros(self.buckets.count, dtype=np.int64)
        for (found, _), course in self.operations.items():
            if found == purpose:
                total += course.succeeded + course.failed
        return total

    @property
    def failed(self) -> NDArray[np.int64]:
        """How many requests failed in each stretch."""
        total = np.zeros(self.buckets.count, dtype=np.int64)
        for course in self.operations.values():
            total += course.failed
        return total


def read_course(result: TestResult, buckets: Buckets) -> ApiCourse:
    """Read each `series.hlog`; what lies outside of the stretches is passed over."""
    course = ApiCourse(buckets)
    for second in (line for one in result.scenarios for line in one.series()):
        if second.measure not in {"latency", "failed"}:
            continue
        failed = second.measure == "failed"
        course.requests += 0 if second.warmup else int(second.counts.sum())
        place = buckets.index(second.second)
        if place is None:
            continue
        key = (second.purpose, second.operation)
        operation = course.operations.get(key)
        if operation is None:
            operation = course.operations[key] = OperationCourse(buckets)
        operation.add(place, second.bins, second.counts, failed=failed)
        if second.purpose == "load":
            course.load.add(place, second.bins, second.counts, failed=failed)
    return course
