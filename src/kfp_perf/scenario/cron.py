"""Cron expressions of five fields: when they fire, and their form in the API.

KFP reads cron with robfig/cron, version 1: a first field for seconds, and days of the week from 0 to 6. It accepts
five fields too, but reads the first as seconds, so a standard expression must never be sent unchanged.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import takewhile
from typing import TYPE_CHECKING

from cronsim import CronSim, CronSimError

from kfp_perf.scenario.quantities import complaint, format_value

if TYPE_CHECKING:
    from collections.abc import Iterator

_REMEDY = (
    'write five fields: minute, hour, day of month, month, day of week ("*/5 * * * *" is every 5 minutes)'
)
_MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_ANY_TIME = datetime(2024, 1, 1, tzinfo=UTC)
_FIELDS = ("minute", "hour", "day of month", "month", "day of week")
_NEUTRAL = ("0", "0", "1", "1", "*")


def checked_cron(expression: str) -> str:
    """Return the expression if it is standard and can fire; raises the error that a pydantic validator raises."""
    fields = expression.split()
    if expression.strip().startswith("@"):
        raise complaint(
            f"must have five fields, got {format_value(expression)}", _macro_remedy(expression.strip())
        )
    if len(fields) != len(_FIELDS):
        what = f"must have five fields, got {len(fields)}: {format_value(expression)}"
        raise complaint(what, _count_remedy(fields))
    for index, (text, name) in enumerate(zip(fields, _FIELDS, strict=True)):
        alone = " ".join((*_NEUTRAL[:index], text, *_NEUTRAL[index + 1 :]))
        if not _is_standard(text) or not _parses(alone if name != "day of month" else f"0 0 {text} 1 *"):
            raise complaint(f"has a wrong {name}: {format_value(text)}", _field_remedy(text))
    if next(firings(expression, _ANY_TIME), None) is None:
        raise complaint(
            f"can never fire, got {format_value(expression)}", "no such day exists: change day or month"
        )
    return expression


def _macro_remedy(text: str) -> str:
    if macro := _MACROS.get(text.lower()):
        return f"write {format_value(macro)}"
    if found := re.fullmatch(r"@every\s+(\S+)", text, re.IGNORECASE):
        return f"write interval {format_value(found[1])} in place of cron"
    return _REMEDY


def _count_remedy(fields: list[str]) -> str:
    if fields and re.match(r"(?:CRON_)?TZ=", fields[0]):
        return "leave the time zone out, and write the hours in UTC"
    match len(fields):
        case 6 if re.fullmatch(r"[12][0-9]{3}\S*", fields[-1]):
            return "there is no field for years: leave the last one out"
        case 6:
            return "KFP's field for seconds is added for you: leave the first one out"
        case 7:
            return "leave out the field for seconds, the first one, and that for years, the last one"
    return _REMEDY


def _field_remedy(text: str) -> str:
    if text == "?":
        return "write * in place of ?"
    if not _is_standard(text):
        return "L, W, # and ? are additions that KFP's scheduler does not have"
    return _REMEDY


def _is_standard(text: str) -> bool:
    """Whether a field keeps to the standard: `L`, `W`, `#` and `?` are others' additions."""
    return (
        not set(text) & set("#?")
        and text.upper() not in {"L", "LW"}
        and not text.upper().endswith(("L", "W"))
    )


def _parses(expression: str) -> bool:
    try:
        CronSim(expression, _ANY_TIME)
    except CronSimError:
        return False
    return True


def firings(expression: str, after: datetime, until: datetime | None = None) -> Iterator[datetime]:
    """Yield when an expression fires after a time, up to and with another; both in UTC, as KFP's default is."""
    try:
        times = CronSim(expression, after)
    except CronSimError:
        return iter(())
    return takewhile(lambda when: until is None or when <= until, times)


def cron_for_kfp(expression: str) -> str:
    """Return a standard expression as KFP's scheduler reads it: with seconds, and Sunday as 0."""
    *others, day_of_week = expression.split()
    if "7" in day_of_week.partition("/")[0]:
        days = sorted(
            {int(day) % 7 for day in CronSim(expression, _ANY_TIME).weekdays if isinstance(day, int)}
        )
        day_of_week = ",".join(map(str, days))
    return " ".join(("0", *others, day_of_week))
