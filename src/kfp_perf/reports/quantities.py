"""How numbers are written for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_perf.metrics.metric import Unit

if TYPE_CHECKING:
    from collections.abc import Mapping


def condition_of(threshold: Mapping[str, Any]) -> str:
    """The condition of a threshold of the result; one that is relative to a baseline has its value in brackets."""
    condition, baseline = str(threshold.get("condition")), threshold.get("baseline")
    if not isinstance(baseline, dict) or baseline.get("value") is None:
        return condition
    value = quantity_of(baseline["value"], threshold.get("unit"))
    return condition.replace("baseline", f"baseline ({value})", 1)


def seconds_of(seconds: float | None) -> str:
    """A time with the unit that suits it: `870 us`, `12.3 ms`, `4.56 s`, `3 min 20 s`; a dash for none."""
    if seconds is None:
        return "–"
    size = abs(seconds)
    if not seconds:
        return "0 s"
    if size < 0.9995e-3:
        return f"{seconds * 1e6:.0f} us"
    if size < 0.9995:
        return f"{seconds * 1e3:.{0 if size >= 0.0995 else 1}f} ms"
    if size < 120:
        return f"{seconds:.{2 if size < 9.995 else 1}f} s"
    if size < 7200:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{seconds / 3600:.1f} h"


def brief_of(seconds: float | None) -> str:
    """A time in one number, where there is little room: as `seconds_of`, but `3:20 min`."""
    if seconds is None or not 120 <= seconds < 7200:
        return seconds_of(seconds)
    return f"{clock_of(seconds)} min"


def range_of(low: float, high: float) -> str:
    """Two times with the unit said once, where it is the same: `69.0 to 71.1 s`, `2:04 to 2:10 min`."""
    if low >= 120 and high < 7200:
        return f"{clock_of(low)} to {clock_of(high)} min"
    (first, unit), last = seconds_of(low).split(" ", 1), seconds_of(high)
    return f"{first} to {last}" if last.split(" ", 1)[1] == unit else f"{seconds_of(low)} to {last}"


def clock_of(seconds: float) -> str:
    """A time as `minutes:seconds`, or `hours:minutes:seconds`."""
    whole = max(0, round(seconds))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def span_of(seconds: float) -> str:
    """How long something lasted, to the second: `23 s`, `4 min`, `12 min 5 s`, `3 h 20 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(round(whole / 60), 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def share_of(share: float | None) -> str:
    """A share as a percentage; a dash for none. What is not all, or not nothing, never looks like it."""
    if share is None:
        return "–"
    percent = share * 100
    if 0 < percent < 0.1:
        return "<0.1 %"
    if 99.9 < percent < 100:
        return ">99.9 %"
    return f"{percent:.1f} %" if percent % 1 else f"{percent:.0f} %"


def count_of(number: int, noun: str) -> str:
    """A number and its noun: `1 run`, `1,204 runs`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def rate_of(rate: float | None) -> str:
    """A rate with three significant digits: `0.125`, `1.83`, `24.6`, `1,204`; a dash for none."""
    if rate is None:
        return "–"
    if rate == 0 or abs(rate) >= 99.95:
        return f"{rate:,.0f}"
    return f"{rate:.{1 if abs(rate) >= 9.995 else 2 if abs(rate) >= 0.9995 else 3}f}"


def between_of(low: Any, high: Any, unit: Any) -> str:
    """A value that is only known to lie between two bounds: `100 to 300 ms`, `≤ 5.0 ms`, `> 300 s`."""
    if high is None:
        return f"> {quantity_of(low, unit)}"
    if not low:
        return f"≤ {quantity_of(high, unit)}"
    return (
        range_of(low, high)
        if unit == Unit.SECONDS
        else f"{quantity_of(low, unit)} to {quantity_of(high, unit)}"
    )


def size_of(number: float | None) -> str:
    """A number of bytes: `512 B`, `1.5 KiB`, `117 MiB`; a dash for none."""
    if number is None:
        return "–"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(number) < 1024 or unit == "GiB":
            break
        number /= 1024
    return f"{number:,.{0 if unit == 'B' or abs(number) >= 99.5 else 1}f} {unit}"


def quantity_of(value: Any, unit: Any) -> str:
    """A value in the unit of its metric; a dash for none."""
    if not isinstance(value, (int, float)):
        return "–"
    match unit:
        case Unit.SECONDS:
            return seconds_of(value)
        case Unit.SHARE | Unit.CHANGE:
            return share_of(value)
        case Unit.PER_SECOND:
            return f"{rate_of(value)} /s"
        case Unit.BYTES:
            return size_of(value)
        case Unit.CORES:
            return f"{rate_of(value)} cores"
        case _:
            return f"{value:,.6g}"
