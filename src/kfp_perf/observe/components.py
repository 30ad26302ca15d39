"""How the pipeline's components did over all runs: on the critical path, and off it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from kfp_perf.observe.reading import Reading

# More names than this are no components, but an answer that makes them up.
_MOST_COMPONENTS = 1000


class ComponentTotals(msgspec.Struct):
    """One component over all runs.

    `executed` counts executions that ended, `failed` those of them that failed, `cached` cache hits, `skipped`
    executions that a condition kept from happening, `on_critical_path` executions that a run waited for.
    `seconds` counts executions by whole seconds, from the making of the task's node to the controller's note of its
    end, each off by less than one.
    """

    executed: int = 0
    failed: int = 0
    cached: int = 0
    skipped: int = 0
    on_critical_path: int = 0
    seconds: dict[int, int] = {}


class Components:
    """Adds up, over runs, what their entries say of each component."""

    def __init__(self) -> None:
        self.totals: dict[str, ComponentTotals] = {}

    def add(self, reading: Reading) -> None:
        """Take in a run that has ended."""
        for entry in reading.entries:
            if entry.name not in reading.components or (totals := self._of(entry.name)) is None:
                continue
            execution = reading.executions.get(entry)
            if execution is not None and execution.cached:
                totals.cached += 1
            elif entry.ran:
                totals.executed += 1
                totals.failed += entry.state == "FAILED"
                second = int(entry.seconds or 0.0)
                totals.seconds[second] = totals.seconds.get(second, 0) + 1
            elif entry.ended_at is not None:
                totals.skipped += 1
        for segment in () if reading.path is None else reading.path.segments:
            if segment.name in reading.components and (totals := self._of(segment.name)) is not None:
                totals.on_critical_path += 1

    def _of(self, name: str) -> ComponentTotals | None:
        if name not in self.totals:
            if len(self.totals) >= _MOST_COMPONENTS:
                return None
            self.totals[name] = ComponentTotals()
        return self.totals[name]
