"""A histogram of times: constant memory, three significant digits, mergeable, picklable."""

from __future__ import annotations

from typing import Any

from hdrh.histogram import HdrHistogram

_LOWEST_MICROSECONDS = 1
_HIGHEST_MICROSECONDS = 3_600_000_000
_DIGITS = 3

#: The quantiles that every table of times shows.
QUANTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0}


class Histogram:
    """Times in seconds, kept from a microsecond to an hour within 0.1 %; longer ones count as an hour.

    Negative ones count as zero here, and are counted in `negative`. See Tene's HdrHistogram.
    """

    def __init__(self) -> None:
        self._histogram = _new()
        self._sum_seconds = 0.0
        self.negative = 0

    def record(self, seconds: float) -> None:
        """Take in one time."""
        if seconds < 0.0:
            self.negative += 1
            seconds = 0.0
        self._sum_seconds += seconds
        self._histogram.record_value(
            min(_HIGHEST_MICROSECONDS, max(_LOWEST_MICROSECONDS, round(seconds * 1e6)))
        )

    @property
    def count(self) -> int:
        """How many times were taken in."""
        return int(self._histogram.total_count)

    def quantile(self, percent: float) -> float | None:
        """The time in seconds that `percent` of the recorded ones do not exceed; None where there are none."""
        if not self.count:
            return None
        return float(self._histogram.get_value_at_percentile(percent)) / 1e6

    def summary(self) -> dict[str, float]:
        """The usual quantiles, the largest time and the mean, in seconds; empty where there are none."""
        if not self.count:
            return {}
        quantiles = {
            name: float(self._histogram.get_value_at_percentile(at)) / 1e6 for name, at in QUANTILES.items()
        }
        largest = float(self._histogram.get_max_value()) / 1e6
        return {**quantiles, "max": largest, "mean": self._sum_seconds / self.count}

    def merge(self, other: Histogram) -> None:
        """Take in all that the other one holds."""
        self._histogram.add(other._histogram)
        self._sum_seconds += other._sum_seconds
        self.negative += other.negative

    def encode(self) -> bytes:
        """The counts in HdrHistogram's own compressed text, which other tools read."""
        return bytes(self._histogram.encode())

    def __reduce__(self) -> tuple[Any, ...]:
        return (_decode, (self.encode(), self._sum_seconds, self.negative))


def _new() -> Any:
    return HdrHistogram(_LOWEST_MICROSECONDS, _HIGHEST_MICROSECONDS, _DIGITS)


def _decode(encoded: bytes, sum_seconds: float, negative: int) -> Histogram:
    histogram = Histogram()
    histogram._histogram.decode_and_add(encoded)
    histogram._sum_seconds = sum_seconds
    histogram.negative = negative
    return histogram
