"""Values of metrics as text, with the sign of their unit."""

from __future__ import annotations

from kfp_perf.metrics.metric import Unit

#: The factor that converts a unit's values for display, and the sign that follows.
_SIGNS = {
    Unit.SECONDS: (1.0, " s"),
    Unit.SHARE: (100.0, " %"),
    Unit.CHANGE: (100.0, " %"),
    Unit.COUNT: (1.0, ""),
    Unit.PER_SECOND: (1.0, "/s"),
    Unit.BYTES: (2.0**-20, " MiB"),
    Unit.CORES: (1.0, " cores"),
}
ALL_DIGITS = 15


def text_of(value: float, unit: Unit) -> str:
    """Format a value with three digits and its unit."""
    factor, sign = scale_of(value, unit)
    return f"{rounded(value * factor, 3):.{ALL_DIGITS}g}{sign}"


def scale_of(value: float, unit: Unit) -> tuple[float, str]:
    """The factor by which a value is shown, and the sign that follows."""
    return (1e3, " ms") if unit is Unit.SECONDS and abs(value) < 1.0 else _SIGNS[unit]


def rounded(value: float, digits: int) -> float:
    """Round to so many significant digits."""
    return float(f"{value:.{digits}g}")
