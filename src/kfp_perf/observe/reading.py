"""A run's entries, read once: what ran, which executor was whose, and the critical path."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kfp_perf.observe.critical_path import CriticalPath, critical_path
from kfp_perf.observe.entries import Entry, read_entries
from kfp_perf.observe.executors import Executions, match_executors
from kfp_perf.pipelines.shape import Dag, Kind

if TYPE_CHECKING:
    from kfp_perf.client.messages import Run

_NO_COMPONENTS = ("root", "iteration", "condition-", "exit-handler-", "for-loop-")


class Reading(NamedTuple):
    """What a run's entries say. `components` are the names of the tasks that do work."""

    entries: list[Entry]
    components: set[str]
    executions: Executions
    path: CriticalPath | None

    @property
    def cached(self) -> bool:
        """Whether nothing was executed, because the cache had it all."""
        executions = self.executions.values()
        ran = {entry for entry in self.entries if entry.name in self.components and entry.ran}
        return bool(executions) and all(each.cached for each in executions) and ran <= self.executions.keys()


def read_run(run: Run, shape: Dag | None) -> Reading:
    """Read the entries of a run that has ended; `shape` is that of its pipeline, if it is known."""
    entries = read_entries(run, shape)
    if shape is None:
        containers = components = _guess_components(entries)
    else:
        containers = shape.names(Kind.CONTAINER)
        components = containers | shape.names(Kind.IMPORTER)
    executions = match_executors(entries, containers)
    return Reading(entries, components, executions, critical_path(entries, shape, executions))


def _guess_components(entries: list[Entry]) -> set[str]:
    """What has a driver, and is no group by its name."""
    names = {entry.name for entry in entries}
    return {name for name in names if f"{name}-driver" in names and not name.startswith(_NO_COMPONENTS)}
