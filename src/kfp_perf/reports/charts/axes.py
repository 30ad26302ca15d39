"""Axes: from values to pixels, and where the ticks stand."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kfp_perf.reports.quantities import clock_of, seconds_of

if TYPE_CHECKING:
    from collections.abc import Callable

_CLOCK_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
_MOST_TICKS = 50


@dataclass(frozen=True, slots=True)
class Axis:
    """A range of values, what it is called (with its unit), and how ticks are found and written.

    `ticks(low, high, count)` returns about `count` values.
    """

    label: str
    low: float
    high: float
    ticks: Callable[[float, float, int], list[float]]
    text: Callable[[float], str]
    logarithmic: bool = False

    def place(self, value: float, start: float, end: float) -> float:
        """Where a value stands between two pixels; values beyond the range stand at its ends."""
        value = min(max(value, self.low), self.high)
        if self.logarithmic:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return start + share * (end - start)


def clock_axis(seconds: float, label: str = "time since the start of the test, min:s") -> Axis:
    """Time in a test, from 0."""
    hours = seconds >= 3600
    return Axis(
        label.replace("min:s", "h:min:s") if hours else label, 0.0, max(seconds, 1.0), clock_ticks, clock_of
    )


def seconds_axis(high: float, label: str, low: float = 0.0) -> Axis:
    """Times from `low`, each tick with its unit."""
    top = high if high > low else low + 1.0
    return Axis(label, low, top, even_ticks if top < 120 else clock_ticks, _seconds_tick)


def log_seconds_axis(low: float, high: float, label: str) -> Axis:
    """Times of several orders of magnitude, between the 1, 2 or 5 times a power of ten around them."""
    edges = [factor * 10.0**power for power in range(-6, 9) for factor in (1, 2, 5)]
    first = max((place for place, edge in enumerate(edges) if edge <= low * (1 + 1e-9)), default=0)
    last = min(
        (place for place, edge in enumerate(edges) if edge >= high * (1 - 1e-9)), default=len(edges) - 1
    )
    # At least a factor of four, or noise fills the chart.
    first = min(first, len(edges) - 3)
    last = max(last, first + 2)
    return Axis(label, edges[first], edges[last], log_ticks, _seconds_tick, logarithmic=True)


def count_axis(high: float, label: str) -> Axis:
    """Numbers from 0 to the next round one."""
    high = high if high > 1e-9 else 1.0
    first, second, *_ = even_ticks(0.0, high, 4)
    step = second - first
    return Axis(label, 0.0, math.ceil(high / step - 1e-9) * step, even_ticks, _number_tick)


def share_axis(label: str) -> Axis:
    """Shares from none to all."""
    return Axis(label, 0.0, 1.0, even_ticks, lambda share: f"{share * 100:.0f} %")


def even_ticks(low: float, high: float, count: int) -> list[float]:
    """Round values at even distances: 1, 2 or 5 times a power of ten."""
    rough = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    # Beyond this, differences are lost in the precision of the values themselves.
    return [place * step for place in range(first, min(last, first + _MOST_TICKS) + 1)]


def clock_ticks(low: float, high: float, count: int) -> list[float]:
    """Whole seconds, minutes or hours."""
    rough = (high - low) / max(count, 1)
    day = _CLOCK_STEPS[-1]
    step = next((step for step in _CLOCK_STEPS if step >= rough), math.ceil(rough / day) * day)
    return [float(value) for value in range(math.ceil(low / step) * step, math.floor(high) + 1, step)]


def log_ticks(low: float, high: float, count: int) -> list[float]:
    """Powers of ten; with 2 and 5 times them where there is room."""
    powers = range(math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9) + 1)
    decades = math.log10(high / low)
    factors = (1, 2, 5) if decades * 3 <= count else (1,)
    every = max(1, math.ceil(decades / max(count, 1)))
    values = [factor * 10.0**power for power in powers if power % every == 0 for factor in factors]
    return [value for value in values if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]


def _seconds_tick(seconds: float) -> str:
    if seconds == 0:
        return "0 s"
    text = seconds_of(seconds)
    value, unit = text.split(" ", 1)
    if " " not in unit and "." in value:
        return f"{value.rstrip('0').rstrip('.')} {unit}"
    return text.removesuffix(" 0 s")


def _number_tick(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.3g}"
