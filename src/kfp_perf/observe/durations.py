"""The duration of a run from the server's whole seconds, and how far off it may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kfp_perf.observe.clock_offset import ClockOffset, Interval

if TYPE_CHECKING:
    from kfp_perf.result.records import RunRecord


class Estimate(NamedTuple):
    """A time span in seconds: the truth lies within `value` plus or minus `error`."""

    value: float
    error: float


def whole_second(time: float) -> Interval:
    """The times that the server writes as this one: it cuts fractions off."""
    return Interval(time, time + 1.0)


def span(begin: Interval, end: Interval) -> Estimate:
    """The time from somewhere in one interval to somewhere in another."""
    return Estimate(end.middle - begin.middle, end.half_width + begin.half_width)


def creation(record: RunRecord, offset: ClockOffset) -> Interval | None:
    """When a run was created, on the server's clock: within its whole second, and while our call was under way.

    None where the server gave no time. Where both disagree, as after a step of a clock, only the server counts.
    """
    if record.created_at is None:
        return None
    stated = whole_second(record.created_at)
    if not record.sent or record.adopted:
        return stated
    ahead = offset.at(record.ended)
    if ahead is None:
        return stated
    return stated.intersect(Interval(record.sent, record.ended).shift(ahead)) or stated


def duration(record: RunRecord, offset: ClockOffset) -> Estimate | None:
    """From creation to finish; None where the server gave no times.

    The finish is stamped by the workflow controller, whose clock is taken to be the API server's: how far apart
    they are cannot be known from outside.
    """
    created = creation(record, offset)
    if created is None or record.finished_at is None:
        return None
    return span(created, whole_second(record.finished_at))
