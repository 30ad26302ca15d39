"""Quantities as users write them: `90s`, `1h30m`, `30/min`, `50KB`; a bare number of time is minutes."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

# The sign of micro has two code points: U+00B5 on keyboards, and the Greek letter.
_UNIT_SECONDS = {
    **dict.fromkeys(("us", "µs", "\u03bcs"), 1e-6),
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}
_DURATION_PART = r"\d+(?:\.\d+)?\s*(?:us|[µ\u03bc]s|ms|s|min|m|h|d)"
_DURATION = re.compile(rf"\s*(?:{_DURATION_PART}\s*)+", re.ASCII)
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(us|[µ\u03bc]s|ms|s|min|m|h|d)", re.ASCII)
_DURATION_REMEDY = 'write a number of minutes (1.5) or a text with a unit ("90s", "5m", "1h30m")'

_RATE_UNITS = {
    "s": "s",
    "sec": "s",
    "second": "s",
    "m": "min",
    "min": "min",
    "minute": "min",
    "h": "h",
    "hour": "h",
}
_RATE = re.compile(r"\s*(\d+(?:\.\d+)?(?:e\d+)?)\s*/\s*(s|sec|second|m|min|minute|h|hour)\s*", re.ASCII)
_RATE_REMEDY = 'write how many in what time: "5/s", "30/min" or "1000/h"'

MAX_MINUTES = 366 * 24 * 60.0
"""The longest time in a scenario: a year."""

MAX_RATE_PER_SECOND = 10_000.0
"""The highest arrival rate that a scenario may ask for; one load generator does not reach more."""

MIN_RATE_PER_SECOND = 1e-7
"""The lowest arrival rate above 0: three in a year."""

MAX_COUNT = 100_000
"""The most slots, readers, uploads or schedules that one scenario may ask for."""

MAX_STAGES = 100
MAX_STAGE_SLOTS = 10_000
"""The most slots that a stage may have as its target."""


def complaint(what: str, remedy: str = "") -> PydanticCustomError:
    """Return the error that a validator raises: `what` is wrong, and what is allowed (`remedy`)."""
    return PydanticCustomError("scenario_value", "{what}", {"what": what, "remedy": remedy})


def format_value(value: object) -> str:
    """Return a value for a message: as JSON, cut to 60 characters."""
    import json

    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):
        text = str(type(value).__name__)
    text = text.encode(errors="backslashreplace").decode()
    return text if len(text) <= 60 else f"{text[:57]}..."


def parse_minutes(value: Any) -> float:
    """Return a time in minutes from a number of minutes or from a text with units."""
    if isinstance(value, str):
        if not _DURATION.fullmatch(value):
            raise complaint(f"is not a time, got {format_value(value)}", _DURATION_REMEDY)
        minutes = sum(float(number) * _UNIT_SECONDS[unit] for number, unit in _PART.findall(value)) / 60
    elif isinstance(value, int | float) and not isinstance(value, bool):
        minutes = _finite(value)
    else:
        raise complaint(f"is not a time, got {format_value(value)}", _DURATION_REMEDY)
    if minutes > MAX_MINUTES:
        raise complaint(
            f"must be at most {MAX_MINUTES:.0f} minutes (a year), got {format_value(value)}", _DURATION_REMEDY
        )
    return minutes


def _finite(value: float) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise complaint(f"must be a finite number, got {format_value(value)}", _DURATION_REMEDY)
    return number


def _not_negative_minutes(value: Any) -> float:
    minutes = parse_minutes(value)
    if minutes < 0:
        raise complaint(f"must not be negative, got {format_value(value)}", _DURATION_REMEDY)
    return minutes


def _positive_minutes(value: Any) -> float:
    minutes = parse_minutes(value)
    if minutes <= 0:
        raise complaint(f"must be greater than 0, got {format_value(value)}", _DURATION_REMEDY)
    if minutes * 60 < 0.001:
        raise complaint(f"must be at least 1 ms, got {format_value(value)}", _DURATION_REMEDY)
    return minutes


TIME_SCHEMA = {"type": "string", "pattern": rf"^({_DURATION_PART}\s*)+$"}

Minutes = Annotated[
    float,
    PlainValidator(_not_negative_minutes),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, TIME_SCHEMA]}),
]
"""A time of 0 or more."""

PositiveMinutes = Annotated[
    float,
    PlainValidator(_positive_minutes),
    WithJsonSchema({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, TIME_SCHEMA]}),
]
"""A time above 0."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate: a number per unit of time (`unit` is `s`, `min` or `h`), kept as written."""

    count: float
    unit: str

    @property
    def per_second(self) -> float:
        """The rate in operations per second."""
        return self.count / _UNIT_SECONDS[self.unit]

    def __str__(self) -> str:
        return f"{self.count:g}/{self.unit}"


def parse_rate(value: Any) -> Rate:
    """Return the rate that a text such as `30/min` names; 0 is allowed here (a stage may rest)."""
    if isinstance(value, Rate):
        return value
    match = _RATE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise complaint(f"is not a rate, got {format_value(value)}", _RATE_REMEDY)
    rate = Rate(float(match[1]), _RATE_UNITS[match[2]])
    if 0 < rate.per_second < MIN_RATE_PER_SECOND:
        raise complaint(
            f"must be at least {MIN_RATE_PER_SECOND * 3600:g}/h, got {format_value(value)}", _RATE_REMEDY
        )
    if rate.per_second > MAX_RATE_PER_SECOND:
        raise complaint(
            f"must be at most {MAX_RATE_PER_SECOND:.0f}/s, got {format_value(value)}", _RATE_REMEDY
        )
    return rate


def _positive_rate(value: Any) -> Rate:
    rate = parse_rate(value)
    if rate.count <= 0:
        raise complaint(f"must be greater than 0, got {format_value(value)}", _RATE_REMEDY)
    return rate


_UNIT_BYTES = {"B": 1, "kB": 1000, "KB": 1000, "KiB": 1024, "MB": 1000**2, "MiB": 1024**2}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(B|kB|KB|KiB|MB|MiB)\s*", re.ASCII)
_SIZE_REMEDY = 'write a number of bytes (5000) or a text with a unit ("50KB", "2MiB")'
MIN_SIZE_BYTES = 1_000
MAX_SIZE_BYTES = 32 * 1024 * 1024
"""The largest pipeline that the API server takes."""


def parse_size(value: Any) -> int:
    """Return a size in bytes from a number of bytes or from a text with a unit."""
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is not None:
        size = int(float(match[1]) * _UNIT_BYTES[match[2]])
    elif isinstance(value, int) and not isinstance(value, bool):
        size = value
    else:
        raise complaint(f"is not a size, got {format_value(value)}", _SIZE_REMEDY)
    if not MIN_SIZE_BYTES <= size <= MAX_SIZE_BYTES:
        raise complaint(f"must be from 1KB to 32MiB, got {format_value(value)}", _SIZE_REMEDY)
    return size


Size = Annotated[
    int,
    PlainValidator(parse_size),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": MIN_SIZE_BYTES, "maximum": MAX_SIZE_BYTES},
                {"type": "string", "pattern": r"^\d+(\.\d+)?\s*(B|kB|KB|KiB|MB|MiB)$"},
            ]
        }
    ),
]
"""A size of a pipeline in bytes."""


def parse_target(value: Any) -> int | Rate:
    """Return the target of a stage: a whole number of slots, or a rate."""
    if isinstance(value, str | Rate):
        return parse_rate(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_STAGE_SLOTS:
        raise complaint(
            f"is not a target, got {format_value(value)}",
            f'write a whole number of slots (0 to {MAX_STAGE_SLOTS}), or a rate ("30/min")',
        )
    return value


_RATE_PATTERN = r"^\d+(\.\d+)?\s*/\s*(s|sec|second|m|min|minute|h|hour)$"

PositiveRate = Annotated[
    Rate,
    PlainValidator(_positive_rate),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": _RATE_PATTERN}),
]
"""A rate above 0."""

Target = Annotated[
    int | Rate,
    PlainValidator(parse_target),
    PlainSerializer(lambda target: target if isinstance(target, int) else str(target)),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": _RATE_PATTERN}]}
    ),
]
"""The target of a stage: slots, or a rate."""

Count = Annotated[int, Field(strict=True, ge=0, le=10_000_000)]
PositiveCount = Annotated[int, Field(strict=True, ge=1, le=MAX_COUNT)]
