from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from kfp_emulator.clock import LoopClock, fine_loop

uvloop = pytest.importorskip("uvloop")


async def _read() -> Any:
    clock = LoopClock(fine_loop(asyncio.get_running_loop()))
    times = [clock.now() for _ in range(200)]
    called = asyncio.Event()
    clock.call_at(clock.now() + 2_000, called.set)
    await called.wait()
    return times


def test_uvloops_time_is_read_in_microseconds() -> None:
    times = uvloop.run(_read())
    assert times == sorted(times)
    assert any(later - earlier not in {0, 1000} for earlier, later in pairwise(times))


def test_other_loops_are_taken_as_they_are() -> None:
    async def same() -> Any:
        loop = asyncio.get_running_loop()
        return fine_loop(loop) is loop

    assert asyncio.run(same())
