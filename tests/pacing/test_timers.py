from __future__ import annotations

import asyncio
import time

from kfp_perf.pacing.timers import FineTimers, resolve


def test_timers_that_were_not_needed_leave_and_those_that_are_stay() -> None:
    """An operation that is held back until there is room, or until the end, does not wait for the end."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        timers = FineTimers(loop)
        begin = time.monotonic()
        needed: list[asyncio.Future[bool]] = []
        for number in range(20_000):
            sleeper = loop.create_future()
            timers.wake_at(begin + (0.5 if number % 1000 == 0 else 3600.0), sleeper)
            if number % 1000 == 0:
                needed.append(sleeper)
            else:
                resolve(sleeper, False)
        assert len(timers) < 200
        assert await asyncio.gather(*needed) == [True] * 20

    asyncio.run(main())
