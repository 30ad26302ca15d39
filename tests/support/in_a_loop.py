"""Tests that are coroutines, and their loop's clock."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    import pytest


def in_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test in an event loop of its own."""

    @functools.wraps(test)
    def run(**fixtures: Any) -> None:
        asyncio.run(test(**fixtures))

    return run


class Later:
    """Turns the running loop's clock forward, and lets its timers fire."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        self.skipped = 0.0
        time = loop.time
        monkeypatch.setattr(loop, "time", lambda: time() + self.skipped)

    async def __call__(self, seconds: float) -> None:
        self.skipped += seconds
        for _ in range(3):
            await asyncio.sleep(0)
