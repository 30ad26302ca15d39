"""Health checks all through a test: the API, this machine, and every scenario; in the log and in the result."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any, Self

from kfp_perf.errors import GeneratorSaturated
from kfp_perf.health.connectivity import ApiHealth, Connectivity
from kfp_perf.health.generator import GeneratorWatch
from kfp_perf.health.progress import ProgressWatch
from kfp_perf.pacing import RealClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from kfp_perf.config import TestConfig
    from kfp_perf.result.counters import ScenarioCounters
    from kfp_perf.scenario.model import TestScenario

log = logging.getLogger(__name__)

_LINE_EVERY_SECONDS = 60.0
_LOW_DISK_BYTES = 1e9
_LOW_MEMORY_BYTES = 200e6
_REMEDY = (
    "The figures are not the target's alone. Lower the load, split it over several machines, or give this one "
    "more room; docs/performance.md has the bounds."
)


class HealthChecks:
    """Observes a test: call `look` several times a second from the thread that waits for it, inside the context.

    `connectivity` is a context in which `api` is kept up to date. A warning is logged once when a problem begins,
    and a line of status every minute.
    """

    def __init__(
        self,
        generator: GeneratorWatch,
        api: ApiHealth,
        connectivity: contextlib.AbstractContextManager[object] | None = None,
        scenarios: Iterable[TestScenario] = (),
        *,
        now: Callable[[], float] | None = None,
    ) -> None:
        self.generator = generator
        self.progress = ProgressWatch(scenarios)
        self._api = api
        self._now = now or RealClock().now
        self._next_line = self._now() + _LINE_EVERY_SECONDS
        self._warned: set[str] = set()
        self._connectivity = connectivity or contextlib.nullcontext()
        self._contexts = contextlib.ExitStack()

    @classmethod
    def of_test(cls, config: TestConfig, folder: Path, scenarios: Sequence[TestScenario]) -> Self:
        """The checks of a test against the target of `config` whose result is written into the folder."""
        connectivity = Connectivity(config)
        return cls(GeneratorWatch(folder, scenarios), connectivity.health, connectivity, scenarios)

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as contexts:
            contexts.enter_context(self.generator)
            contexts.enter_context(self._connectivity)
            self._contexts = contexts.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._contexts.close()

    def look(self, counters: Mapping[str, ScenarioCounters]) -> None:
        """Run every check once."""
        now = self._now()
        self.generator.look(counters)
        for one in counters.values():
            if (stall := self.progress.look(one, now)) is not None:
                log.warning("%s: %s", one.scenario, stall.text)
        self._warn(
            "api",
            not self._api.answers,
            "The API does not answer the health check (%s)",
            self._last_failure(),
        )
        space = self.generator.space
        disk, memory = space.disk_bytes, space.memory_bytes
        self._warn("no disk", disk is None, "The folder of the result cannot be reached")
        self._warn(
            "disk",
            disk is not None and disk < _LOW_DISK_BYTES,
            "The disk of the result has %.0f MB left",
            (disk or 0) / 1e6,
        )
        self._warn(
            "memory",
            memory is not None and memory < _LOW_MEMORY_BYTES,
            "This machine has %.0f MB of memory left",
            (memory or 0) / 1e6,
        )
        for saturation in self.generator.saturations():
            what = f"{saturation.resource} {saturation.scenario}"
            self._warn(what, True, "The generator is saturated: %s", saturation)
        for name in self.generator.on_purpose:
            self._warn(f"purpose {name}", True, _ON_PURPOSE, name)
        if now >= self._next_line:
            self._next_line = now + _LINE_EVERY_SECONDS
            log.info("Health: %s", self.line(counters))

    def line(self, counters: Mapping[str, ScenarioCounters]) -> str:
        """The status of the test in one line."""
        shares = self.generator.shares()
        stalled = self.progress.stalled()
        saturations = self.generator.saturations()
        disk = self.generator.space.disk_bytes
        lags = [one.longest_lag_seconds for one in counters.values()]
        parts = [
            "the API answers" if self._api.answers else "the API does not answer",
            f"{len(counters) - len(stalled)} of {len(counters)} scenarios make progress",
            f"CPU {shares.get('process_cpu', 0.0):.0%} of a core",
            f"event loop at most {1e3 * max(lags, default=0.0):.0f} ms late",
            "disk unknown" if disk is None else f"{disk / 1e9:.1f} GB of disk left",
            "generator saturated" if saturations else "generator within its bounds",
        ]
        return ", ".join(parts)

    def verdict(self) -> GeneratorSaturated | None:
        """The error that makes a test invalid; None: the generator kept within its bounds."""
        saturations = self.generator.saturations()
        if not saturations:
            return None
        texts = "; ".join(str(one) for one in saturations[:3])
        more = f"; and {len(saturations) - 3} more" if len(saturations) > 3 else ""
        return GeneratorSaturated(f"The generator was saturated: {texts}{more}.\n    {_REMEDY}")

    def document(self) -> dict[str, Any]:
        """Plain values for the result: `api`, and the `stalls` of scenarios."""
        return {
            "api": self._api.document(),
            "stalls": [stall.document() for stall in self.progress.stalls],
        }

    def _warn(self, what: str, holds: bool, message: str, *values: object) -> None:
        """Log a warning when a condition begins to hold, and a line when it no longer does."""
        if holds and what not in self._warned:
            self._warned.add(what)
            log.warning(message, *values)
        elif not holds and what in self._warned:
            self._warned.discard(what)
            log.info("It is over: %s", message % values)

    def _last_failure(self) -> str:
        return self._api.latest.error if self._api.latest else "no failure"


_ON_PURPOSE = (
    "%s reads without a pause (thinkTime 0): it saturates this process on purpose, so its lateness and the CPU "
    "are not judged"
)
