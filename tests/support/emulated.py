"""A scenario against the emulator over real sockets, in one event loop in virtual time: minutes pass at once."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from virtual_time import EPOCH, VirtualClock, run_virtually

from kfp_emulator.clock import LoopClock
from kfp_emulator.cluster.timing import load_profile
from kfp_emulator.http.server import Server, open_socket
from kfp_emulator.options import Options, build
from kfp_perf.client import RestClient
from kfp_perf.config import TestConfig
from kfp_perf.errors import RunnerError, TargetError
from kfp_perf.metrics import Recorder
from kfp_perf.runners import RUNNERS
from kfp_perf.scenario.model import TestScenario

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from kfp_emulator.server.state import Backend
    from kfp_perf.client import KfpClient
    from kfp_perf.result.journal import Journal
    from kfp_perf.result.records import RunRecord, Sample


@contextlib.asynccontextmanager
async def emulator(profile: str, options: dict[str, Any]) -> AsyncIterator[tuple[Backend, str]]:
    """An emulator in the running loop, and its address."""
    clock = LoopClock(asyncio.get_running_loop(), wall=round(EPOCH * 1e6))
    backend = build(Options(load_profile(profile), **{"seed": 1, **options}), clock)
    server = Server(backend, open_socket("127.0.0.1", 0))
    await server.start()
    try:
        yield backend, server.url
    finally:
        await server.stop()


class Emulated:
    """What came of a scenario; `left` is what the server still held in the end.

    `meanwhile` and `afterwards` are what somebody else does with the server, with a client of their own.
    """

    def __init__(
        self,
        fields: dict[str, Any],
        profile: str = "fast",
        *,
        journal: Journal | None = None,
        meanwhile: Callable[[Emulated, KfpClient], Awaitable[None]] | None = None,
        afterwards: Callable[[Emulated, KfpClient], Awaitable[None]] | None = None,
        killed_after: float | None = None,
        clean_up: bool = True,
        deletes_early: bool = False,
        config: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.scenario = TestScenario.model_validate({"runTime": "60s", "name": "t", **fields})
        self.journal = journal
        self.meanwhile = meanwhile
        self.afterwards = afterwards
        self.killed_after = killed_after
        self.config = config or {}
        self.clean_up = clean_up
        self.deletes_early = deletes_early
        self.records: list[RunRecord] = []
        self.samples: list[Sample] = []
        self.error: Exception | None = None
        self.left: dict[str, int] = {}
        run_virtually(lambda: self._play(profile, options))

    async def _play(self, profile: str, options: dict[str, Any]) -> None:
        async with emulator(profile, options) as (self.backend, url):
            config = TestConfig.from_environment(KFP_API_HOST=url, **self.config)
            other = RestClient(config, VirtualClock())
            kind: Any = RUNNERS[self.scenario.mode_name]
            self.clock = VirtualClock()
            self.runner = kind(
                self.scenario,
                config=config,
                clock=self.clock,
                journal=self.journal,
                recorder=Recorder(None, (self,)),  # type: ignore[arg-type]
                t0=self.clock.now(),
            )
            self.runner.deletes_early = self.deletes_early
            try:
                await self.runner.prepare()
                self.runner.t0 = self.clock.now()
                self.runner.calculate_timing()
                try:
                    await self._run(other)
                finally:
                    self.told: dict[str, Any] = self.runner.reports()
            except (RunnerError, TargetError) as error:
                self.error = error
            if self.clean_up:
                await self.runner.stop()
            await self.runner.client.aclose()
            if self.afterwards is not None:
                await self.afterwards(self, other)
            await other.aclose()
            for table in ("runs", "recurring_runs", "experiments", "pipelines", "versions"):
                row = self.backend.store.one(f"SELECT count(*) FROM {table}")
                self.left[table] = row[0] if row else 0

    async def _run(self, other: KfpClient) -> None:
        """Run it, or only the beginning of it: then nothing of ours goes on, as after `kill -9`."""
        beside = None if self.meanwhile is None else asyncio.ensure_future(self.meanwhile(self, other))
        running = asyncio.ensure_future(self.runner.run())
        if self.killed_after is not None:
            asyncio.get_running_loop().call_later(self.killed_after, running.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await running
        if beside is not None:
            await beside

    def measure_from(self, moment: float) -> None:
        pass

    def on_sample(self, sample: Sample) -> None:
        self.samples.append(sample)

    def on_run(self, record: RunRecord) -> None:
        self.records.append(record)
