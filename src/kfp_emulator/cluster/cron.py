"""Cron expressions as KFP's schedules take them: those of robfig/cron, version 1.2.0.

    sec min hour dom month [dow]      @every 1h30m      @yearly @monthly @weekly @daily @hourly

Five fields are accepted, and mean seconds to month: a standard expression has to be sent with a leading `0`.
Where both days are restricted either is enough, but a `*` or `?` in one of them, `*/2` too, makes it both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

_YEARS_AHEAD = 5
"""How far a next time is looked for; the 29th of February is found, the 30th is not."""


class CronError(ValueError):
    """An expression that robfig/cron refuses; the text is its own."""


class Schedule(Protocol):
    """When something is due."""

    def next(self, after: int) -> int | None:
        """Return the first second of the epoch after `after` at which it is due; None if it never is."""
        ...

    def latest(self, slot: int, until: int) -> int:
        """Return the last time at which it is due up to `until`, given that it is due at `slot`; else `slot`."""
        ...


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()


_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("dom", 1, 31),
    _Field(
        "month", 1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
    ),
    _Field("dow", 0, 6, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)
_DESCRIPTORS = {
    "@yearly": "0 0 0 1 1 *",
    "@annually": "0 0 0 1 1 *",
    "@monthly": "0 0 0 1 * *",
    "@weekly": "0 0 0 * * 0",
    "@daily": "0 0 0 * * *",
    "@midnight": "0 0 0 * * *",
    "@hourly": "0 0 * * * *",
}
_EVERY = "@every "
_UNIT_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)", re.ASCII)


def parse_cron(expression: str) -> Schedule:
    """Return the schedule of an expression.

    Raises:
        CronError: robfig/cron would refuse it.

    """
    if not expression:
        raise CronError("Empty spec string")
    if expression[0] == "@":
        return _descriptor(expression)
    fields = expression.split()
    if not 5 <= len(fields) <= 6:
        raise CronError(f"Expected 5 to 6 fields, found {len(fields)}: {expression}")
    if len(fields) == 5:
        fields.append("*")
    values = [_parse_field(text, field) for text, field in zip(fields, _FIELDS, strict=True)]
    (seconds, _), (minutes, _), (hours, _), (days, any_day), (months, _), (weekdays, any_weekday) = values
    return CronSchedule(seconds, minutes, hours, days, months, weekdays, any_day or any_weekday)


def _descriptor(expression: str) -> Schedule:
    if expression in _DESCRIPTORS:
        return parse_cron(_DESCRIPTORS[expression])
    if not expression.startswith(_EVERY):
        raise CronError(f"Unrecognized descriptor: {expression}")
    text = expression[len(_EVERY) :]
    try:
        nanoseconds = _parse_duration(text)
    except ValueError as fault:
        raise CronError(f"Failed to parse duration {expression}: {fault}") from None
    return EverySchedule(max(1, nanoseconds // 1_000_000_000))


def _parse_duration(text: str) -> int:
    """Return the nanoseconds of a Go duration such as `1h30m`."""
    quoted = f'"{text}"'
    body = text[1:] if text[:1] in {"+", "-"} else text
    if body == "0":
        return 0
    parts = _DURATION.findall(body)
    if not body or "".join(number + unit for number, unit in parts) != body:
        problem = "invalid duration"
        if body and re.fullmatch(r"[0-9.]+", body, re.ASCII):
            problem = "missing unit in duration"
        raise ValueError(f"time: {problem} {quoted}")
    nanoseconds = sum(round(float(number) * _UNIT_NANOSECONDS[unit]) for number, unit in parts)
    if nanoseconds >= 1 << 63:
        raise ValueError(f"time: invalid duration {quoted}")
    return -nanoseconds if text[0] == "-" else nanoseconds


def _parse_field(text: str, field: _Field) -> tuple[frozenset[int], bool]:
    """Return the values of a field, and whether it holds a star."""
    values: set[int] = set()
    star = False
    for part in text.split(","):
        if part:
            found, starred = _parse_range(part, field)
            values.update(found)
            star |= starred
    return frozenset(values), star


def _parse_range(text: str, field: _Field) -> tuple[range, bool]:
    bounds, *steps = text.split("/")
    low, *highs = bounds.split("-")
    star = low in {"*", "?"}
    if star:
        start, end = field.low, field.high
    else:
        start = end = _parse_value(low, field)
        if len(highs) > 1:
            raise CronError(f"Too many hyphens: {text}")
        if highs:
            end = _parse_value(highs[0], field)
    step = 1
    if len(steps) > 1:
        raise CronError(f"Too many slashes: {text}")
    if steps:
        step = _parse_integer(steps[0])
        if not highs:
            end = field.high
    if start < field.low:
        raise CronError(f"Beginning of range ({start}) below minimum ({field.low}): {text}")
    if end > field.high:
        raise CronError(f"End of range ({end}) above maximum ({field.high}): {text}")
    if start > end:
        raise CronError(f"Beginning of range ({start}) beyond end of range ({end}): {text}")
    if step == 0:
        raise CronError(f"Step of range should be a positive number: {text}")
    return range(start, end + 1, step), star


def _parse_value(text: str, field: _Field) -> int:
    named = text.lower()
    if named in field.names:
        return field.names.index(named) + field.low
    return _parse_integer(text)


def _parse_integer(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]+", text, re.ASCII):
        raise CronError(f'Failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    if len(text) > 18:
        raise CronError(
            f'Failed to parse int from {text}: strconv.Atoi: parsing "{text}": value out of range'
        )
    if int(text) < 0:
        raise CronError(f"Negative number ({int(text)}) not allowed: {text}")
    return int(text)


@dataclass(frozen=True, slots=True)
class EverySchedule:
    """Due every so many seconds."""

    seconds: int

    def next(self, after: int) -> int | None:
        """Return the next second at which it is due."""
        return after + self.seconds

    def latest(self, slot: int, until: int) -> int:
        """Return the last time up to `until`."""
        return max(slot, until - (until - slot) % self.seconds)


@dataclass(frozen=True, slots=True)
class CronSchedule:
    """Due when all fields match, in UTC; `both_days` is whether day and weekday both have to."""

    seconds: frozenset[int]
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    both_days: bool

    def next(self, after: int) -> int | None:
        """Return the next second at which it is due; None if there is none within five years."""
        if not all((self.seconds, self.minutes, self.hours, self.months)):
            return None
        try:
            start = datetime.fromtimestamp(after + 1, UTC)
            day = start.replace(hour=0, minute=0, second=0)
            first = self._within(start.hour, start.minute, start.second)
            while day.year <= start.year + _YEARS_AHEAD:
                if day.month not in self.months:
                    day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
                elif not self._matches(day) or (day.date() == start.date() and first is None):
                    day += timedelta(days=1)
                else:
                    within = first if day.date() == start.date() else self._within(0, 0, 0)
                    return int(day.timestamp()) + within if within is not None else None
        except (ValueError, OverflowError, OSError):
            return None
        return None

    def latest(self, slot: int, until: int) -> int:
        """Return the last time up to `until`; looks back further and further, as what was missed may be years."""
        window = 60
        while until - window > slot:
            found = self.next(until - window)
            if found is not None and found <= until:
                slot = found
                break
            window *= 8
        while (following := self.next(slot)) is not None and following <= until:
            slot = following
        return slot

    def _matches(self, day: datetime) -> bool:
        in_month = day.day in self.days
        in_week = day.isoweekday() % 7 in self.weekdays
        return (in_month and in_week) if self.both_days else (in_month or in_week)

    def _within(self, hour: int, minute: int, second: int) -> int | None:
        """Return the first second of a day, from a time of day on, at which it is due."""
        for at_hour in sorted(each for each in self.hours if each >= hour):
            from_minute = minute if at_hour == hour else 0
            for at_minute in sorted(each for each in self.minutes if each >= from_minute):
                from_second = second if (at_hour, at_minute) == (hour, minute) else 0
                for at_second in sorted(each for each in self.seconds if each >= from_second):
                    return at_hour * 3600 + at_minute * 60 + at_second
        return None
