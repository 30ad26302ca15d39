"""The critical path of a run, from the names and times of its entries and the shape of its pipeline.

The walk goes backwards: in each DAG from the task that ended last to the one of its dependencies that ended last,
and so on; likewise inside groups. The controller closes a group, and starts the dependents of a task, in the pass
in which it records the end, so these times are in the same second. Pods count until they ended, not until that was
recorded.

Of several tasks that close together, the one whose pod ended last is on the path; a task never comes before one
that depends on it. Where even the ends of the pods are in the same second, or where entries of one name cannot be
distinguished (loops run their items in parallel), one is chosen, and the differences of the others from it are kept
as the path's uncertainty.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from kfp_perf.observe.task_details import EXECUTOR, REQUEUE_SECONDS, ROOT
from kfp_perf.observe.times import PathSegment, edges_of, range_of
from kfp_perf.pipelines.shape import Dag, TaskKind, TaskShape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kfp_perf.observe.task_details import Entry, TaskExecutions

_DRIVER = "-driver"
_ITEM = "iteration-item"
# What happens in one pass of the controller may be stamped in two seconds.
_ONE_PASS_SECONDS = 1.0
# The most candidates of unknown position that are examined.
_MOST_CANDIDATES = 8


class Uncertainty(NamedTuple):
    """The largest error of the time in drivers, in tasks, between them, and of the end of the last one, in seconds.

    It comes from not knowing the right path, and adds to the error of whole seconds.
    """

    driver: float = 0.0
    execute: float = 0.0
    transition: float = 0.0
    end: float = 0.0


class CriticalPath(NamedTuple):
    """The path's segments in order of time, and its uncertainty."""

    segments: list[PathSegment]
    uncertainty: Uncertainty = Uncertainty()


class _Candidate(NamedTuple):
    """A possible execution of a task, or of one item of a loop.

    `inner_gap` is the time from a group's start to that of the first pod in it, which are created in the same pass.
    `used` are the positions of its entries.
    """

    shape: TaskShape
    start: float
    closed: float
    path: CriticalPath
    inner_gap: float
    used: list[int]

    @property
    def work_end(self) -> float:
        """When its last pod ended."""
        return self.path.segments[-1].end if self.path.segments else self.start


class _Taken:
    """Positions of entries that are on the path already, or around the place where the walk is: a stack."""

    def __init__(self) -> None:
        self._stack: list[int] = []
        self._all: set[int] = set()

    def __contains__(self, position: int) -> bool:
        return position in self._all

    def __len__(self) -> int:
        return len(self._stack)

    def add(self, positions: Iterable[int]) -> None:
        """Take what is not taken yet."""
        for position in positions:
            if position not in self._all:
                self._all.add(position)
                self._stack.append(position)

    def give_back(self, height: int) -> list[int]:
        """Give back what was taken since there were `height` of them, and return it."""
        returned = self._stack[height:]
        del self._stack[height:]
        self._all.difference_update(returned)
        return returned


def _end_of(entry: Entry) -> float:
    return entry.ended_at or 0.0


class _Walk:
    """The entries of one run, by name and place; those of each are in order of their ends."""

    def __init__(self, entries: Iterable[Entry], executions: TaskExecutions) -> None:
        self._executions = executions
        self._taken = _Taken()
        self._by_name: defaultdict[str, list[Entry]] = defaultdict(list)
        self._placed: defaultdict[tuple[str, str], list[Entry]] = defaultdict(list)
        self._items_placed: defaultdict[tuple[str, str, int | None], list[Entry]] = defaultdict(list)
        for entry in sorted((entry for entry in entries if entry.ended_at is not None), key=_end_of):
            self._by_name[entry.name].append(entry)
            self._placed[entry.name, entry.within].append(entry)
            self._items_placed[entry.name, entry.within, entry.item].append(entry)

    def through(self, dag: Dag, begin: float, end: float, within: str) -> CriticalPath:
        """The path through one instance of a DAG, whose entries lie between two times."""
        path = CriticalPath([])
        tasks: Iterable[TaskShape] = dag.tasks.values()
        limit = end
        while (last := self._last(dag, tasks, begin, limit, within)) is not None:
            path = _joined(last.path, path)
            tasks = [dag.tasks[name] for name in last.shape.dependencies if name in dag.tasks]
            limit = last.start
        return path

    def fitting(
        self, name: str, begin: float, limit: float, within: str = "", item: int | None = None
    ) -> list[Entry]:
        """The entries of a name between two times that may still be a part of the path, in order of their ends.

        Those whose place is known to be this one, or else those whose place is not known.
        """
        for entries in self._placed_at(name, within, item):
            first = bisect_left(entries, begin, key=_end_of)
            beyond = bisect_right(entries, limit, lo=first, key=_end_of)
            if found := [entry for entry in entries[first:beyond] if self._fits(entry, begin)]:
                return found
        return []

    def _closing_last(self, name: str, begin: float, limit: float, within: str) -> list[Entry]:
        """Those of them that ended last."""
        for entries in self._placed_at(name, within, None):
            found: list[Entry] = []
            for place in range(bisect_right(entries, limit, key=_end_of) - 1, -1, -1):
                entry = entries[place]
                if _end_of(entry) < begin or (found and entry.ended_at != found[0].ended_at):
                    break
                if self._fits(entry, begin):
                    found.append(entry)
            if found:
                return found[::-1]
        return []

    def _placed_at(self, name: str, within: str, item: int | None) -> Iterator[list[Entry]]:
        """The entries that have a place, then those of which it is not known."""
        if not within:
            yield self._by_name.get(name, [])
            return
        if item is None:
            yield self._placed.get((name, within), [])
        else:
            yield self._items_placed.get((name, within, item), [])
        yield self._placed.get((name, ""), [])

    def _fits(self, entry: Entry, begin: float) -> bool:
        return begin <= entry.started_at and entry.position not in self._taken

    def _last(
        self, dag: Dag, shapes: Iterable[TaskShape], begin: float, limit: float, within: str
    ) -> _Candidate | None:
        """The task closed last between two times; of several, the one whose pod ended last."""
        ran = [
            (shape, *pair)
            for shape in shapes
            for pair in self._closed_last(shape, begin, limit, within)
            # A task omitted after a failure takes no time: a dependency of it ended in the same pass.
            if any(entry is not None and entry.ran for entry in pair)
        ]
        earlier = _predecessors(dag, {shape.name for shape, *_ in ran})
        found = [each for each in ran if each[0].name not in earlier]
        closed = [_closed(*each, limit) for each in found]
        latest = max(closed, default=limit)
        together = [each for each, when in zip(found, closed, strict=True) if when == latest]
        known = [all(entry is None or entry.within for entry in each[1:]) for each in together]
        unknown = [each for each, is_known in zip(together, known, strict=True) if not is_known]
        together = [*itertools.compress(together, known), *unknown[:_MOST_CANDIDATES]]
        candidates = [self._candidate(*each, begin, limit) for each in together]
        if not candidates:
            return None
        last = max(candidate.work_end - candidate.path.uncertainty.end for candidate in candidates)
        equals = [each for each in candidates if each.work_end + each.path.uncertainty.end >= last]
        gap = min(candidate.inner_gap for candidate in equals)
        equals = [candidate for candidate in equals if candidate.inner_gap == gap]
        chosen = max(equals, key=lambda candidate: (candidate.work_end, -candidate.start))
        self._taken.add(chosen.used)
        starts = [candidate.start for candidate in equals]
        uncertainty = _spread(chosen, equals, max(starts) - min(starts))
        return chosen._replace(path=_joined(chosen.path, CriticalPath([], uncertainty)))

    def _closed_last(
        self, shape: TaskShape, begin: float, limit: float, within: str
    ) -> list[tuple[Entry | None, Entry | None]]:
        """The driver and entry of a task that was closed last; several where names repeat."""
        entries = self._closing_last(shape.name, begin, limit, within)
        if not entries:
            # Where its driver failed, a task has no other entry. An item has one, with the state omitted.
            driver = None if shape.name == _ITEM else self._driver(shape.name, begin, limit, within)
            return [] if driver is None else [(driver, None)]
        pairs: list[tuple[Entry | None, Entry | None]] = [
            (self._driver(shape.name, begin, entry.started_at, within, entry.item), entry)
            for entry in entries
        ]
        # What began outside of the span, as an item of a loop around does, has its driver outside too.
        return [pair for pair in pairs if pair[0] is not None] or pairs

    def _driver(
        self, name: str, begin: float, limit: float, within: str, item: int | None = None
    ) -> Entry | None:
        """The driver that ended last before its task was created: its end was recorded in that pass."""
        drivers = self.fitting(name + _DRIVER, begin, limit, within, item)
        return max(drivers, key=lambda each: (each.work_ended_at or 0.0, -each.started_at), default=None)

    def _driven(self, driver: Entry | None, begin: float, limit: float) -> CriticalPath:
        """A driver's segment. Others of its name whose end was recorded in the same pass might be the right one."""
        if driver is None or not driver.ran:
            return CriticalPath([])
        noted = [
            each
            for each in self.fitting(driver.name, begin, limit, driver.within, driver.item)
            if each.ended_at is not None and each.ended_at >= limit - REQUEUE_SECONDS
        ]
        alike = [driver, *noted]
        ends = [each.work_ended_at or 0.0 for each in alike if each.started_at == driver.started_at]
        end = (min(ends) + max(ends)) / 2
        segment = PathSegment(driver.name, True, driver.started_at, end, driver.position)
        lengths = [(each.work_ended_at or 0.0) - each.started_at for each in alike]
        length = segment.end - segment.start
        off = max(max(lengths) - length, length - min(lengths))
        earlier = max(abs(each.started_at - driver.started_at) for each in alike)
        off += driver.uncertainty_seconds
        return CriticalPath([segment], Uncertainty(off + earlier, earlier, off + earlier, off))

    def _candidate(
        self, shape: TaskShape, driver: Entry | None, entry: Entry | None, begin: float, limit: float
    ) -> _Candidate:
        first = driver or entry
        start = limit if first is None else first.started_at
        before = len(self._taken)
        self._taken.add(each.position for each in (driver, entry) if each is not None)
        path = self._driven(driver, begin, limit if entry is None else entry.started_at)
        gap = 0.0
        if entry is not None and entry.ended_at is not None and entry.ran:
            if shape.inner is None:
                inside = self._execution(entry)
            elif shape.kind is TaskKind.LOOP:
                inside = self._items(shape, shape.inner, entry.started_at, entry.ended_at, entry.inside)
            else:
                inside = self.through(shape.inner, entry.started_at, entry.ended_at, entry.inside)
            if shape.inner is not None:
                gap = inside.segments[0].start - entry.started_at if inside.segments else math.inf
            path = _joined(path, inside)
        used = self._taken.give_back(before)
        return _Candidate(shape, start, _closed(shape, driver, entry, limit), path, gap, used)

    def _execution(self, entry: Entry) -> CriticalPath:
        """A task's own segment; none where the result came from the cache."""
        execution = self._executions.get(entry.position)
        if execution is not None and execution.cached:
            return CriticalPath([])
        segment = _pod(entry, is_driver=False)
        off = entry.uncertainty_seconds
        if execution is not None:
            segment, off = segment._replace(end=execution.ended_at), execution.uncertainty_seconds
        return CriticalPath([segment], Uncertainty(execute=off, transition=off, end=off))

    def _items(self, loop: TaskShape, body: Dag, begin: float, end: float, within: str) -> CriticalPath:
        """The path through a loop: its driver, then one item, or several where they wait for each other."""
        item = TaskShape(_ITEM, TaskKind.GROUP, frozenset(), body)
        path = CriticalPath([])
        limit = end
        before = len(self._taken)
        while (last := self._last(body, [item], begin, limit, within)) is not None:
            if path.segments:
                if limit - last.closed > _ONE_PASS_SECONDS:
                    self._taken.give_back(before)
                    break
                if len(self.fitting(f"iteration{_DRIVER}", begin, end, within)) > 1:
                    # Loops of the same shape beside this one: it may be an item of theirs.
                    off = limit - last.start
                    path = _joined(CriticalPath([], Uncertainty(off, off, off)), path)
            path = _joined(last.path, path)
            limit, before = last.start, len(self._taken)
            if not loop.one_after_another:
                break
        # Loops inside have drivers of the same name, which come later.
        drivers = self.fitting(f"iteration{_DRIVER}", begin, limit, within)
        first = min((driver.started_at for driver in drivers), default=begin)
        driver = max(
            (driver for driver in drivers if driver.started_at == first),
            key=lambda each: each.work_ended_at or 0.0,
            default=None,
        )
        return _joined(self._driven(driver, begin, limit), path)


def _predecessors(dag: Dag, names: Iterable[str]) -> set[str]:
    """The tasks that some tasks of a DAG depend on, directly or not."""
    found: set[str] = set()
    pending = list(names)
    while pending:
        task = dag.tasks.get(pending.pop())
        new = set() if task is None else task.dependencies - found
        found |= new
        pending += new
    return found


def critical_path(entries: list[Entry], shape: Dag | None, executions: TaskExecutions) -> CriticalPath | None:
    """The critical path of a run that has ended; None where the entries do not show one.

    Without the pipeline's shape the pod that ended last before the next one started counts as its dependency: right
    where tasks run one after the other, a guess where they run in parallel.
    """
    walk = _Walk(entries, executions)
    roots = walk.fitting(ROOT, -math.inf, math.inf)
    if shape is None or len(roots) != 1 or roots[0].ended_at is None:
        path = CriticalPath(_pods_in_a_row(entries))
    else:
        drivers = walk.fitting(f"{ROOT}{_DRIVER}", -math.inf, roots[0].started_at)
        first = CriticalPath([_pod(driver, is_driver=True) for driver in drivers[:1]])
        path = _joined(first, walk.through(shape, roots[0].started_at, roots[0].ended_at, roots[0].inside))
    return path if path.segments else None


def _pods_in_a_row(entries: list[Entry]) -> list[PathSegment]:
    pods = [
        _pod(entry, is_driver=entry.name != EXECUTOR)
        for entry in entries
        if entry.ran and (entry.name == EXECUTOR or entry.name.endswith(_DRIVER))
    ]
    segments: list[PathSegment] = []
    limit = math.inf
    for pod in sorted(pods, key=lambda pod: (pod.end, pod.start), reverse=True):
        if pod.end <= limit:
            segments.append(pod)
            limit = pod.start
    return segments[::-1]


def _pod(entry: Entry, *, is_driver: bool) -> PathSegment:
    end = entry.started_at if entry.work_ended_at is None else entry.work_ended_at
    return PathSegment(entry.name, is_driver, entry.started_at, end, entry.position)


def _closed(shape: TaskShape, driver: Entry | None, entry: Entry | None, limit: float) -> float:
    """When the controller recorded the end of a task: a single pod's entry has an earlier time, at most `limit`."""
    last = entry or driver
    if last is None or last.ended_at is None:
        return -math.inf
    single_pod = entry is None or shape.kind is TaskKind.IMPORTER
    return limit if single_pod and limit - last.ended_at <= REQUEUE_SECONDS + 1.0 else last.ended_at


def _joined(earlier: CriticalPath, later: CriticalPath) -> CriticalPath:
    mine, its = earlier.uncertainty, later.uncertainty
    uncertainty = Uncertainty(
        mine.driver + its.driver,
        mine.execute + its.execute,
        mine.transition + its.transition,
        its.end if later.segments else mine.end + its.end,
    )
    return CriticalPath([*earlier.segments, *later.segments], uncertainty)


def _spread(chosen: _Candidate, equals: list[_Candidate], before: float) -> Uncertainty:
    """By how much any other candidate can exceed the chosen one; `before` is the difference of their starts."""
    own = [range_of(edges) for edges in edges_of(chosen.path.segments)]
    parts = [before] * len(own)
    for candidate in equals:
        ranges = [range_of(edges) for edges in edges_of(candidate.path.segments)]
        for part, (mine, its) in enumerate(zip(own, ranges, strict=True)):
            more = candidate.path.uncertainty[part] - chosen.path.uncertainty[part]
            beyond = max(its.high - mine.high, mine.low - its.low) + more
            parts[part] = max(parts[part], before + beyond)
    end = max(
        abs(candidate.work_end - chosen.work_end)
        + candidate.path.uncertainty.end
        - chosen.path.uncertainty.end
        for candidate in equals
    )
    return Uncertainty(parts[0], parts[1], parts[2], end)
