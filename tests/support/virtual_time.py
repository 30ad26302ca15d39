"""An event loop whose time jumps to the next timer instead of waiting, and a clock that follows it."""

from __future__ import annotations

import asyncio
import math
import selectors
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from kfp_perf.pacing import StopSignal

Result = TypeVar("Result")

EPOCH = 1_790_000_000.0


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits: what would have been waited is added to the loop's time."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise AssertionError("nothing is scheduled, and everything waits: a deadlock")
        self.time += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        self.offloaded = 0
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.time

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Result], *args: Any
    ) -> asyncio.Future[Result]:
        """Call at once, since virtual time would not wait for a thread; `offloaded` counts the calls."""
        self.offloaded += 1
        called: asyncio.Future[Result] = self.create_future()
        called.set_result(func(*args))
        return called


class VirtualClock:
    """`kfp_perf.pacing.Clock` in the virtual time of the running loop."""

    def now(self) -> float:
        return EPOCH + asyncio.get_running_loop().time()

    async def sleep_until(
        self, when: float, stop: StopSignal | None = None, wake: asyncio.Future[bool] | None = None
    ) -> bool:
        loop = asyncio.get_running_loop()
        sleeper = loop.create_future() if wake is None else wake
        if stop is not None:
            stop.add(sleeper)
        handle = None if when == math.inf else loop.call_at(when - EPOCH, _resolve, sleeper)
        try:
            return await sleeper
        finally:
            if handle is not None:
                handle.cancel()
            if stop is not None:
                stop.discard(sleeper)

    def block_until(self, when: float, stop: StopSignal) -> bool:
        return not stop.is_set()


def _resolve(sleeper: asyncio.Future[bool]) -> None:
    if not sleeper.done():
        sleeper.set_result(True)


def run_virtually(main: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run a coroutine function to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())
