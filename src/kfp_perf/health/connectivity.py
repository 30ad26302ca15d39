"""Checks in a separate thread, during the whole test, whether the API answers."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any, Self

import msgspec

from kfp_perf.client import RestClient
from kfp_perf.errors import ApiError, KfpPerfError
from kfp_perf.pacing import RealClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_perf.client import KfpClient
    from kfp_perf.config import TestConfig

#: How often the API server is checked: about as often as by an idle browser tab of KFP's user interface.
CHECK_EVERY_SECONDS = 15.0
_JOIN_SECONDS = 1.0
_MOST_OUTAGES = 100


class Outage(msgspec.Struct):
    """A time in which the API did not answer: the first and the last check without an answer, and the failure.

    Times are seconds since the Unix epoch.
    """

    first: float
    last: float
    failures: int
    error: str


class ApiHealth:
    """The results of the health checks of the API. Written by one thread; others may read at any time."""

    def __init__(self) -> None:
        self.asked = 0
        self.failed = 0
        self.longest_answer_seconds = 0.0
        #: The first ones; `more_outages` counts those after them, `latest` may be one of either.
        self.outages: list[Outage] = []
        self.more_outages = 0
        self.answers = True
        self.latest: Outage | None = None

    def answered(self, seconds: float) -> None:
        """Count an answer."""
        self.asked += 1
        self.answers = True
        self.longest_answer_seconds = max(self.longest_answer_seconds, seconds)

    def missed(self, when: float, error: str) -> None:
        """Count a check that got no answer, or not that of a healthy server."""
        self.asked += 1
        self.failed += 1
        if self.answers:
            self.answers = False
            self.latest = Outage(when, when, 0, error)
            if len(self.outages) < _MOST_OUTAGES:
                self.outages.append(self.latest)
            else:
                self.more_outages += 1
        if self.latest is not None:
            self.latest.last = when
            self.latest.failures += 1

    def document(self) -> dict[str, Any]:
        """Plain values for the result."""
        return {
            "asked": self.asked,
            "failed": self.failed,
            "every_seconds": CHECK_EVERY_SECONDS,
            "longest_answer_seconds": self.longest_answer_seconds,
            "outages": [msgspec.to_builtins(one) for one in self.outages],
            "more_outages": self.more_outages,
        }


async def check_once(client: KfpClient, health: ApiHealth, now: Callable[[], float]) -> None:
    """Send one health check, and record its result in `health`."""
    began = now()
    try:
        await client.healthz()
    except KfpPerfError as error:
        health.missed(began, error.kind if isinstance(error, ApiError) else str(error))
    else:
        health.answered(now() - began)


class Connectivity:
    """Calls GetHealthz at intervals while the context is open; the results are in `health`.

    It has a separate thread, so a server that hangs delays no scenario. Its requests are no load: they are in no
    statistics.
    """

    def __init__(self, config: TestConfig) -> None:
        self.health = ApiHealth()
        # The next check is its second try, so none of them is repeated.
        self._config = config.model_copy(update={"retries": 0})
        self._over = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._work, name="health", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._loop is not None and self._main is not None:
            with contextlib.suppress(RuntimeError):  # it has just ended
                self._loop.call_soon_threadsafe(self._main.cancel)
        # A check that hangs is not waited for.
        self._thread.join(_JOIN_SECONDS)

    def _work(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self._keep_checking())

    async def _keep_checking(self) -> None:
        self._loop, self._main = asyncio.get_running_loop(), asyncio.current_task()
        clock = RealClock()
        client = RestClient(self._config, clock, correlation="kfp-perf-health")
        try:
            while not self._over.is_set():
                await check_once(client, self.health, clock.now)
                await asyncio.sleep(CHECK_EVERY_SECONDS)
        finally:
            await client.aclose()
