"""The critical path of a run, from its entries' names and times and the shape of its pipeline.

Walked backwards: in each DAG from the task that ended last, to the one of its dependencies that ended last, and
so on; inside groups likewise. Names repeat where loops run items side by side, or a component is used twice; an
entry then counts as part of the instance whose time span holds it, the latest that fits being taken. How far off
that choice may be is kept as `doubt_seconds`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from kfp_perf.observe.executors import EXECUTOR
from kfp_perf.observe.shape import Dag, Kind, TaskShape

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kfp_perf.observe.entries import Entry
    from kfp_perf.observe.executors import Executions

_DRIVER = "-driver"


class Segment(NamedTuple):
    """A stretch of the path in one pod: a `driver`'s, or the execution of a task (with the start of its pod)."""

    name: str
    is_driver: bool
    start: float
    end: float


class CriticalPath(NamedTuple):
    """The path's segments in order of time; between them lies the controller. See the module."""

    segments: tuple[Segment, ...]
    doubt_seconds: float

    @property
    def driver_seconds(self) -> float:
        """Time in drivers."""
        return sum(segment.end - segment.start for segment in self.segments if segment.is_driver)

    @property
    def execute_seconds(self) -> float:
        """Time in tasks."""
        return sum(segment.end - segment.start for segment in self.segments if not segment.is_driver)

    @property
    def transition_seconds(self) -> float:
        """Time between the segments."""
        whole = self.segments[-1].end - self.segments[0].start
        return whole - self.driver_seconds - self.execute_seconds


class _Occurrence(NamedTuple):
    """One time that a task was carried out, or only its driver."""

    shape: TaskShape
    driver: Entry | None
    entry: Entry | None
    start: float
    end: float


class _Walk:
    """The entries of one run by name, and the doubt that reading them has come to."""

    def __init__(self, entries: Iterable[Entry], executions: Executions) -> None:
        self.doubt_seconds = 0.0
        self._executions = executions
        self._by_name: defaultdict[str, list[Entry]] = defaultdict(list)
        for entry in entries:
            if entry.ended_at is not None:
                self._by_name[entry.name].append(entry)

    def through(self, dag: Dag, begin: float, end: float) -> list[Segment]:
        """The path through one instance of a DAG, whose entries lie between two times."""
        segments: list[Segment] = []
        tasks: Iterable[TaskShape] = dag.tasks.values()
        limit = end
        while (last := self._last(tasks, begin, limit)) is not None:
            segments[:0] = self._inside(last)
            tasks = [dag.tasks[name] for name in last.shape.dependencies if name in dag.tasks]
            limit = last.start
        return segments

    def latest(self, name: str, begin: float, limit: float) -> Entry | None:
        """The entry of this name between two times that ended last."""
        fitting = [
            entry
            for entry in self._by_name[name]
            if begin <= entry.started_at and entry.ended_at is not None and entry.ended_at <= limit
        ]
        return max(fitting, key=lambda entry: (entry.ended_at or 0.0, entry.started_at), default=None)

    def _last(self, shapes: Iterable[TaskShape], begin: float, limit: float) -> _Occurrence | None:
        occurrences = [
            found for shape in shapes if (found := self._occurrence(shape, begin, limit)) is not None
        ]
        last = max(occurrences, key=lambda found: (found.end, found.start), default=None)
        if last is not None and last.entry is not None:
            self._doubt(last.entry, begin, limit)
        return last

    def _doubt(self, chosen: Entry, begin: float, limit: float) -> None:
        """Another entry of the same name in the same span might be the right one."""
        ends = [
            entry.ended_at
            for entry in self._by_name[chosen.name]
            if begin <= entry.started_at and entry.ended_at is not None and entry.ended_at <= limit
        ]
        self.doubt_seconds += max(ends) - min(ends)

    def _occurrence(self, shape: TaskShape, begin: float, limit: float) -> _Occurrence | None:
        entry = self.latest(shape.name, begin, limit)
        driver = self.latest(shape.name + _DRIVER, begin, limit if entry is None else entry.started_at)
        first, final = driver or entry, entry or driver
        if first is None or final is None or final.ended_at is None:
            return None
        return _Occurrence(shape, driver, entry, first.started_at, final.ended_at)

    def _inside(self, found: _Occurrence) -> list[Segment]:
        segments = (
            [] if found.driver is None or not found.driver.ran else [_pod(found.driver, is_driver=True)]
        )
        entry, shape = found.entry, found.shape
        if entry is None or entry.ended_at is None or not entry.ran:
            return segments
        if shape.kind is Kind.LOOP and shape.inner is not None:
            return [*segments, *self._items(shape, shape.inner, entry.started_at, entry.ended_at)]
        if shape.inner is not None:
            return [*segments, *self.through(shape.inner, entry.started_at, entry.ended_at)]
        execution = self._executions.get(entry)
        if execution is None:
            return [*segments, _pod(entry, is_driver=False)]
        self.doubt_seconds += execution.doubt_seconds
        return [*segments, Segment(entry.name, False, entry.started_at, execution.ended_at)]

    def _items(self, loop: TaskShape, body: Dag, begin: float, end: float) -> list[Segment]:
        """The path through a loop: its driver, then one item, or several where they wait for each other."""
        item = TaskShape("iteration-item", Kind.GROUP, frozenset(), body)
        segments: list[Segment] = []
        limit = end
        while (found := self._occurrence(item, begin, limit)) is not None:
            if found.entry is not None and not loop.one_after_another:
                self._doubt(found.entry, begin, limit)
            segments[:0] = self._inside(found)
            limit = found.start
            if not loop.one_after_another:
                break
        driver = self.latest(f"iteration{_DRIVER}", begin, limit)
        return segments if driver is None else [_pod(driver, is_driver=True), *segments]


def critical_path(entries: list[Entry], shape: Dag | None, executions: Executions) -> CriticalPath | None:
    """The critical path of a run that has ended; None where the entries do not show one.

    Without the pipeline's shape every pod that ended last before the next one started counts as what that one
    waited for: the same where tasks run one after the other, a guess where they run side by side.
    """
    walk = _Walk(entries, executions)
    root = walk.latest("root", -math.inf, math.inf)
    if shape is None or root is None or root.ended_at is None:
        segments = _pods_in_a_row(entries)
    else:
        segments = walk.through(shape, root.started_at, root.ended_at)
        driver = walk.latest(f"root{_DRIVER}", -math.inf, root.started_at)
        if driver is not None:
            segments.insert(0, _pod(driver, is_driver=True))
    return CriticalPath(tuple(segments), walk.doubt_seconds) if segments else None


def _pods_in_a_row(entries: list[Entry]) -> list[Segment]:
    pods = [
        _pod(entry, is_driver=entry.name != EXECUTOR)
        for entry in entries
        if entry.ran and (entry.name == EXECUTOR or entry.name.endswith(_DRIVER))
    ]
    segments: list[Segment] = []
    limit = math.inf
    while earlier := [pod for pod in pods if pod.end <= limit]:
        last = max(earlier, key=lambda pod: (pod.end, pod.start))
        segments.insert(0, last)
        pods.remove(last)
        limit = last.start
    return segments


def _pod(entry: Entry, *, is_driver: bool) -> Segment:
    end = entry.started_at if entry.work_ended_at is None else entry.work_ended_at
    return Segment(entry.name, is_driver, entry.started_at, end)
