"""Creating an object of a unique name although answers get lost and other clients create it too."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

from kfp_perf.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kfp_perf.pacing import Clock, StopSignal

Created = TypeVar("Created")

log = logging.getLogger(__name__)

LOOK_FOR_SECONDS = 60.0
"""How long an object is looked for whose creation got no answer, and is not repeated."""
LOOK_BEFORE_REPEAT_SECONDS = 3.0
"""How long it is looked for before its creation is repeated."""

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 5.0


async def create_or_adopt(
    create: Callable[[], Awaitable[Created]],
    find: Callable[[], Awaitable[Created | None]],
    *,
    clock: Clock,
    stop: StopSignal,
    repeats: int = 0,
) -> Created:
    """Create an object, or return the one that `find` finds by its name after the creation failed.

    After a 409 the object exists: another client, or an attempt that a proxy repeated, has created it. After an
    error of KFP itself one look-up decides. After a lost answer, or where look-ups fail too, the object is looked
    for until `LOOK_FOR_SECONDS` have passed or `stop` is set. Raises the creation's `ApiError` where it is not
    found.

    `repeats` is for objects of which the server allows one of a name: that often the creation is repeated where the
    object was not found within `LOOK_BEFORE_REPEAT_SECONDS`.
    """
    for repeat in range(repeats + 1):
        seconds = LOOK_BEFORE_REPEAT_SECONDS if repeat < repeats else LOOK_FOR_SECONDS
        try:
            return await create()
        except ApiError as error:
            if error.status != 409 and not error.outcome_unknown:
                raise
            what = str(error).partition("\n")[0].removesuffix(".")
            found, certain = await _look_for(find, error, what, clock, stop, seconds)
            if found is not None:
                log.info("%s; the object was found by its name, and is used", what)
                return found
            if certain or repeat == repeats or stop.is_set():
                raise
            log.warning("%s; the object was not found, so its creation is repeated", what)
    raise AssertionError("the last repeat returns or raises")


async def _look_for(
    find: Callable[[], Awaitable[Created | None]],
    error: ApiError,
    what: str,
    clock: Clock,
    stop: StopSignal,
    seconds: float,
) -> tuple[Created | None, bool]:
    """Return what was found, and whether that is certain: the server was done with the creation."""
    until = clock.now() + seconds
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            found = await find()
        except ApiError as failure:
            log.debug("Looking for an object of unknown outcome failed: %s", failure)
        else:
            if found is not None or error.work_ended:
                return found, True
        if pause == _FIRST_PAUSE_SECONDS:
            log.warning("%s; looking for the object by its name for up to %.0f s", what, seconds)
        if clock.now() >= until or not await clock.sleep_until(min(until, clock.now() + pause), stop):
            return None, False
        pause = min(_LONGEST_PAUSE_SECONDS, 2 * pause)
