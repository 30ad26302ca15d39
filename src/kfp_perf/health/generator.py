"""The generator's self-check: compares each window of a test with the bounds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self

from kfp_perf.health.bounds import BOUNDS, STANDSTILL_SECONDS, WINDOW_SECONDS
from kfp_perf.health.interpreter import SWITCH_INTERVAL_SECONDS, QuietInterpreter
from kfp_perf.health.machine import CollectorPauses, Reading, Space, read_machine, read_space
from kfp_perf.health.resource_use import ResourceTally, Saturation
from kfp_perf.health.time_slice import ShortTimeSlice
from kfp_perf.result.counters import ScenarioPhase
from kfp_perf.scenario.modes import MODES
from kfp_perf.scenario.workload import ClosedLoad, workload_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from kfp_perf.health.bounds import Bound
    from kfp_perf.result.counters import ScenarioCounters
    from kfp_perf.scenario.model import TestScenario

_AT_WORK = frozenset({ScenarioPhase.RUNNING, ScenarioPhase.DRAINING})
#: Counting open files takes the longer the more there are.
_LOOK_AT_SPACE_EVERY_SECONDS = 5.0
# Bounds that a saturated process cannot keep; they are not judged where the user asked for saturation.
_GIVEN_UP_ON_PURPOSE = frozenset({"process_cpu", "decoding", "event_loop", "start_lateness"})


class GeneratorWatch:
    """Observes this process and its scenarios while they work, and finds what was saturated.

    Call `look` several times a window from the thread that waits for the scenarios, inside the context, which
    also makes the interpreter quiet (see `QuietInterpreter`) and the time slices of threads that are started in it
    short. `now` returns seconds; the other arguments are for tests.
    """

    def __init__(
        self,
        folder: Path,
        scenarios: Iterable[TestScenario] = (),
        *,
        now: Callable[[], float] = time.monotonic,
        bounds: Mapping[str, Bound] = BOUNDS,
        window_seconds: float = WINDOW_SECONDS,
        read: Callable[[CollectorPauses], Reading] = read_machine,
        space: Callable[[Path], Space] = read_space,
    ) -> None:
        self.on_purpose: list[str] = []
        self.windows = 0
        #: Begin and end of each time in which this process was suspended, in seconds since the Unix epoch.
        self.standstills: list[tuple[float, float]] = []
        self.space = space(folder)
        self.pauses = CollectorPauses()
        self._quiet = QuietInterpreter()
        self._short = ShortTimeSlice()
        self._folder = folder
        self._now = now
        self._bounds = bounds
        self._window_seconds = window_seconds
        self._read = read
        self._read_space = space
        self._space_at = now()
        self._began = now()
        self._reading = read(self.pauses)
        self._saturating = frozenset(one.name or "" for one in scenarios if saturates_on_purpose(one))
        self._marks: dict[str, ScenarioCounters] = {}
        self._tallies: dict[tuple[str, str], ResourceTally] = {}
        self._latest: dict[str, ScenarioCounters] = {}
        self._looked: tuple[float, float] | None = None
        self._gap: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __enter__(self) -> Self:
        self._quiet.__enter__()
        self._short.__enter__()
        self.pauses.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.pauses.__exit__()
        self._short.__exit__()
        self._quiet.__exit__()

    def look(self, counters: Mapping[str, ScenarioCounters]) -> None:
        """Close the window, if it is over, and judge it for the scenarios that worked throughout it."""
        now = self._now()
        self._notice_gap(now, counters)
        elapsed = now - self._began
        if elapsed < self._window_seconds:
            return
        reading = self._read(self.pauses)
        if now - self._space_at >= _LOOK_AT_SPACE_EVERY_SECONDS:
            self.space, self._space_at = self._read_space(self._folder), now
        marks = {name: one for name, one in counters.items() if one.phase in _AT_WORK}
        through = [name for name in marks if name in self._marks]
        if through:
            self._latest.update({name: marks[name] for name in through})
            self._judge(through, marks, reading, elapsed)
        self._began, self._reading, self._marks = now, reading, marks
        self._gap = (0.0, 0.0, 0.0)

    def saturations(self) -> list[Saturation]:
        """The saturated resources, causes before effects; empty: the generator kept within its bounds."""
        found = [tally.saturation() for tally in self._tallies.values() if tally.exceeded]
        order = list(self._bounds)
        return sorted(found, key=lambda one: (order.index(one.resource), one.scenario))

    def document(self) -> dict[str, Any]:
        """The generator's part of the result, as plain values."""
        saturations = self.saturations()
        scenarios: dict[str, dict[str, Any]] = {
            name: {
                "longest_lag_seconds": one.longest_lag_seconds,
                "longest_start_lateness_seconds": one.longest_start_seconds,
                **_connections(one),
                "resources": {},
            }
            for name, one in self._latest.items()
        }
        process: dict[str, Any] = {}
        for (resource, name), tally in self._tallies.items():
            place = scenarios[name]["resources"] if name else process
            place[resource] = tally.document()
        return {
            "saturated": bool(saturations),
            "exceeded": [str(one) for one in saturations],
            "saturated_on_purpose": self.on_purpose,
            "standstills": [list(one) for one in self.standstills],
            "windows": self.windows,
            "window_seconds": self._window_seconds,
            "process": process,
            "scenarios": scenarios,
            "garbage_collections": self.pauses.count,
            "longest_garbage_collection_seconds": self.pauses.longest_seconds,
            "largest_resident_bytes": self.space.largest_resident_bytes,
            "memory_available_bytes": self.space.memory_bytes,
            "disk_free_bytes": self.space.disk_bytes,
            "open_files": self.space.open_files,
            "switch_interval_seconds": SWITCH_INTERVAL_SECONDS,
        }

    def shares(self) -> dict[str, float]:
        """Means over all windows until now: for a line in the log."""
        return {resource: tally.mean for (resource, name), tally in self._tallies.items() if not name}

    def _notice_gap(self, now: float, counters: Mapping[str, ScenarioCounters]) -> None:
        """Keep the longest time of this window without a call of `look`, by both clocks."""
        at = max((one.at for one in counters.values()), default=0.0)
        if self._looked is not None and now - self._looked[0] > self._gap[0]:
            self._gap = (now - self._looked[0], self._looked[1], at)
        self._looked = (now, at)

    def _stood_still(
        self, names: Sequence[str], marks: Mapping[str, ScenarioCounters], reading: Reading
    ) -> float:
        """For how long this process was suspended in this window, in seconds.

        `look` may be late for other reasons, such as a slow disk: event loops must have been blocked as well.
        """
        suspended = reading.suspended_seconds - self._reading.suspended_seconds
        gap, begin, end = self._gap
        lags = [one for one in names if marks[one].lag_is_measured and self._marks[one].lag_is_measured]
        if not all(marks[one].longest_lag_seconds >= 0.5 * gap for one in lags):
            gap, begin = 0.0, end
        still = max(gap, suspended)
        if still > STANDSTILL_SECONDS:
            self.standstills.append((begin, end))
        return still

    def _judge(
        self, names: Sequence[str], marks: Mapping[str, ScenarioCounters], reading: Reading, elapsed: float
    ) -> None:
        self.windows += 1
        machine = _share(
            reading.machine_busy_seconds, self._reading.machine_busy_seconds, reading, self._reading
        )
        throttled = None
        if reading.throttled_seconds is not None and self._reading.throttled_seconds is not None:
            throttled = (reading.throttled_seconds - self._reading.throttled_seconds) / elapsed
        on_purpose = [name for name in names if name in self._saturating]
        self.on_purpose += [name for name in on_purpose if name not in self.on_purpose]
        values = [("", "standstill", self._stood_still(names, marks, reading))]
        values += [("", resource, value) for resource, value in self._of_process(reading, elapsed)]
        for name in names:
            values += [
                (name, resource, value)
                for resource, value in _of_scenario(self._marks[name], marks[name], elapsed)
            ]
        for name, resource, value in values:
            excused = name in on_purpose if name else bool(on_purpose)
            if excused and resource in _GIVEN_UP_ON_PURPOSE:
                continue
            tally = self._tallies.get((resource, name))
            if tally is None:
                tally = self._tallies[resource, name] = ResourceTally(
                    resource, name, self._bounds[resource], self._window_seconds
                )
            tally.add(value, elapsed, machine_busy=machine, throttled=throttled)

    def _of_process(self, reading: Reading, elapsed: float) -> Iterator[tuple[str, float]]:
        before = self._reading
        yield "process_cpu", (reading.process_cpu_seconds - before.process_cpu_seconds) / elapsed
        yield "garbage_collection", (reading.collecting_seconds - before.collecting_seconds) / elapsed
        if self.space.disk_bytes is not None:
            yield "disk", float(self.space.disk_bytes)
        if self.space.open_files_share is not None:
            yield "open_files", self.space.open_files_share


def saturates_on_purpose(scenario: TestScenario) -> bool:
    """Whether a scenario asks for as many requests as this process can make: readers without think time."""
    return (
        scenario.mode in MODES
        and not scenario.mode_entry.starts_runs
        and scenario.think_seconds == 0
        and isinstance(workload_of(scenario), ClosedLoad)
    )


def _of_scenario(
    before: ScenarioCounters, after: ScenarioCounters, elapsed: float
) -> Iterator[tuple[str, float]]:
    if before.lag_is_measured and after.lag_is_measured:
        moments = after.moments - before.moments
        # A loop that was blocked through the whole window measured nothing in it.
        yield "event_loop", (after.late_moments - before.late_moments) / moments if moments else 1.0
    if after.starts > before.starts:
        yield "start_lateness", (after.late_starts - before.late_starts) / (after.starts - before.starts)
    requested = after.connections_requested - before.connections_requested
    if requested > 0:
        yield "connections", (after.connections_waited - before.connections_waited) / requested
        yield "decoding", (after.decode_seconds - before.decode_seconds) / elapsed
        # Failures are counted when the operation has ended, requests when they begin.
        yield "local_failures", min(1.0, (after.local_failures - before.local_failures) / requested)


def _connections(counters: ScenarioCounters) -> dict[str, Any]:
    if not counters.connections_limit:
        return {}
    return {
        "connections_limit": counters.connections_limit,
        "most_requests_at_once": counters.most_requests_at_once,
        "requests_that_waited_for_a_connection": counters.connections_waited,
        "waited_for_connections_seconds": counters.connections_waited_seconds,
        "decode_seconds": counters.decode_seconds,
        "local_failures": counters.local_failures,
    }


def _share(after: float | None, before: float | None, reading: Reading, earlier: Reading) -> float | None:
    whole, whole_before = reading.machine_seconds, earlier.machine_seconds
    if after is None or before is None or whole is None or whole_before is None or whole <= whole_before:
        return None
    return (after - before) / (whole - whole_before)
