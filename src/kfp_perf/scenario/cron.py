"""Schedules: the standard five fields, when they fire, and how the API wants them written.

KFP reads cron with robfig/cron, version 1: a first field for seconds, and days of the week from 0 to 6. It accepts
five fields too, but takes the first for seconds, so a standard expression must never be sent as it is.
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import takewhile
from typing import TYPE_CHECKING

from cronsim import CronSim, CronSimError

from kfp_perf.scenario.quantities import complaint, shown

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
        macro = _MACROS.get(expression.strip().lower())
        remedy = f"write {shown(macro)}" if macro else "for fixed gaps give `interval` in place of `cron`"
        raise complaint(f"must have five fields, got {shown(expression)}", remedy)
    if len(fields) != len(_FIELDS):
        remedy = "KFP's field for seconds is added for you: leave it out" if len(fields) == 6 else _REMEDY
        raise complaint(f"must have five fields, got {len(fields)}: {shown(expression)}", remedy)
    for index, (text, name) in enumerate(zip(fields, _FIELDS, strict=True)):
        alone = " ".join((*_NEUTRAL[:index], text, *_NEUTRAL[index + 1 :]))
        if not _is_standard(text) or not _parses(alone if name != "day of month" else f"0 0 {text} 1 *"):
            raise complaint(f"has a wrong {name}: {shown(text)}", _REMEDY)
    if next(firings(expression, _ANY_TIME), None) is None:
        raise complaint(f"can never fire, got {shown(expression)}", "no such day exists: change day or month")
    return expression


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
