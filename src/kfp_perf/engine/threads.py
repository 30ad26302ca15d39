"""The default engine: a thread for each scenario of this process."""

from __future__ import annotations

import contextlib
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from kfp_perf.engine.gate import StartGate
from kfp_perf.engine.worker import run_scenario
from kfp_perf.pacing import StopSignal
from kfp_perf.result.counters import ScenarioCounters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType

    from kfp_perf.engine.protocol import ScenarioResult, ScenarioWork


@dataclass(eq=False)
class ThreadLink:
    """A scenario's side of `ThreadEngine`."""

    name: str
    gate: StartGate
    #: Whether the gate waits for this scenario: it has a thread from the start.
    awaited: bool = True
    stop: StopSignal = field(default_factory=StopSignal)
    counters: Callable[[], ScenarioCounters] | None = None
    _arrived: bool = False

    def prepared(self) -> float:
        """Block until all scenarios are prepared; see `Link`."""
        self.arrive()
        return self.gate.wait()

    def arrive(self) -> None:
        """Count this scenario as prepared, or as one that never will be. Harmless when called again."""
        if self.awaited and not self._arrived:
            self._arrived = True
            self.gate.arrive()

    def watch(self, counters: Callable[[], ScenarioCounters]) -> None:
        """Set the function that returns the scenario's counters."""
        self.counters = counters


class ThreadEngine:
    """Runs one thread per scenario; see `Engine`.

    `pool_size` is how many may run at a time (None: all). The others are queued, and start when one has ended.
    """

    def __init__(self, now: Callable[[], float], pool_size: int | None = None) -> None:
        self._now = now
        self._pool_size = pool_size
        self._gate = StartGate(1, now)
        self._executor: ThreadPoolExecutor | None = None
        self._links: dict[str, ThreadLink] = {}
        self._futures: dict[Future[ScenarioResult], str] = {}
        self._at_once = False

    @property
    def t0(self) -> float | None:
        """The test's time zero; see `Engine`."""
        return self._gate.t0

    def start(self, work: Sequence[ScenarioWork]) -> None:
        """Start all scenarios."""
        threads = min(self._pool_size or len(work), len(work))
        self._gate = StartGate(threads, self._now)
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="scenario")
        self._links = {
            one.name: ThreadLink(one.name, self._gate, awaited=place < threads)
            for place, one in enumerate(work)
        }
        self._futures = {self._executor.submit(_run, one, self._links[one.name]): one.name for one in work}

    def counters(self) -> Mapping[str, ScenarioCounters]:
        """The latest counters of each scenario; only the name is set for one that has not started."""
        return {
            name: link.counters() if link.counters is not None else ScenarioCounters(scenario=name)
            for name, link in self._links.items()
        }

    def ended(self, timeout_seconds: float) -> Iterator[ScenarioResult]:
        """Yield the scenarios that end within this time, as they end."""
        with contextlib.suppress(TimeoutError):
            for future in as_completed(tuple(self._futures), timeout_seconds):
                del self._futures[future]
                yield future.result()

    @property
    def running(self) -> frozenset[str]:
        """The names of the scenarios that `ended` has not yielded yet."""
        return frozenset(self._futures.values())

    def stop(self, *, at_once: bool = False) -> None:
        """Stop every scenario; see `Engine`."""
        self._at_once = self._at_once or at_once
        for link in tuple(self._links.values()):
            link.stop.set()
        self._gate.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=not self._at_once, cancel_futures=self._at_once)


def _run(work: ScenarioWork, link: ThreadLink) -> ScenarioResult:
    try:
        return run_scenario(work, link)
    finally:
        # One that failed to prepare must not keep the others waiting.
        link.arrive()
