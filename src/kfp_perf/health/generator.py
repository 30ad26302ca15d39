"""The generator watches itself: each window of a test against the bounds."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from kfp_perf.health.bounds import BOUNDS, WINDOW_SECONDS
from kfp_perf.health.interpreter import SWITCH_INTERVAL_SECONDS, QuietInterpreter
from kfp_perf.health.machine import CollectorPauses, Reading, Space, read_machine, read_space
from kfp_perf.health.tally import Finding, Tally
from kfp_perf.result.counters import ScenarioPhase
from kfp_perf.scenario.model import TestMode
from kfp_perf.scenario.workload import ClosedLoad, workload_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from kfp_perf.health.bounds import Bound
    from kfp_perf.runners import BaseRunner
    from kfp_perf.scenario.model import TestScenario

_AT_WORK = frozenset({ScenarioPhase.RUNNING, ScenarioPhase.DRAINING})
#: Counting open files takes the longer the more there are.
_LOOK_AT_SPACE_EVERY_SECONDS = 5.0
# What a saturated process cannot keep, so it is not judged where saturation is what the user asked for.
_GIVEN_UP_ON_PURPOSE = frozenset({"process_cpu", "decoding", "event_loop", "start_lateness"})


@dataclass(frozen=True, slots=True)
class _Counters:
    """A scenario's counters at one moment."""

    starts: int
    late_starts: int
    moments: int
    late_moments: int
    attempts: int
    waited: int
    decode_seconds: float
    felt: bool


class GeneratorWatch:
    """Looks at this process and at the scenarios in it while they are at work, and judges at the end.

    Call `look` several times a window from the thread that waits for the scenarios, inside the context, which
    also makes the interpreter quiet (see `QuietInterpreter`). `now` gives seconds; the rest is there for tests.
    """

    def __init__(
        self,
        folder: Path,
        *,
        now: Callable[[], float] = time.monotonic,
        bounds: Mapping[str, Bound] = BOUNDS,
        window_seconds: float = WINDOW_SECONDS,
        read: Callable[[CollectorPauses], Reading] = read_machine,
        space: Callable[[Path], Space] = read_space,
    ) -> None:
        self.on_purpose: list[str] = []
        self.windows = 0
        self.space = space(folder)
        self.pauses = CollectorPauses()
        self._quiet = QuietInterpreter()
        self._folder = folder
        self._now = now
        self._bounds = bounds
        self._window_seconds = window_seconds
        self._read = read
        self._read_space = space
        self._space_at = now()
        self._began = now()
        self._reading = read(self.pauses)
        self._marks: dict[str, _Counters] = {}
        self._tallies: dict[tuple[str, str], Tally] = {}
        self._extremes: dict[str, BaseRunner] = {}

    def __enter__(self) -> Self:
        self._quiet.__enter__()
        self.pauses.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.pauses.__exit__()
        self._quiet.__exit__()

    def look(self, runners: Sequence[BaseRunner]) -> None:
        """Close the window, if it is over, and judge it for what was at work from its beginning to its end."""
        now = self._now()
        elapsed = now - self._began
        if elapsed < self._window_seconds:
            return
        reading = self._read(self.pauses)
        if now - self._space_at >= _LOOK_AT_SPACE_EVERY_SECONDS:
            self.space, self._space_at = self._read_space(self._folder), now
        at_work = {runner.name: runner for runner in runners if runner.phase in _AT_WORK}
        marks = {name: _counters(runner) for name, runner in at_work.items()}
        through = [name for name in marks if name in self._marks]
        if through:
            self._extremes.update({name: at_work[name] for name in through})
            self._judge([at_work[name] for name in through], marks, reading, elapsed)
        self._began, self._reading, self._marks = now, reading, marks

    def findings(self) -> list[Finding]:
        """What gave way, what explains most first; empty: the generator kept within its bounds."""
        found = [tally.finding() for tally in self._tallies.values() if tally.gave_way]
        order = list(self._bounds)
        return sorted(found, key=lambda one: (order.index(one.resource), one.scenario))

    def document(self) -> dict[str, Any]:
        """What the result says about the generator: plain values."""
        findings = self.findings()
        scenarios: dict[str, dict[str, Any]] = {
            name: {
                "longest_lag_seconds": runner.punctuality.longest_lag_seconds,
                "longest_start_lateness_seconds": runner.punctuality.longest_start_seconds,
                **_burden(runner),
                "resources": {},
            }
            for name, runner in self._extremes.items()
        }
        process: dict[str, Any] = {}
        for (resource, name), tally in self._tallies.items():
            place = scenarios[name]["resources"] if name else process
            place[resource] = tally.document()
        return {
            "saturated": bool(findings),
            "gave_way": [str(one) for one in findings],
            "saturated_on_purpose": self.on_purpose,
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
        """Mean share of what is a share, over all windows until now: for a line in the log."""
        return {resource: tally.mean for (resource, name), tally in self._tallies.items() if not name}

    def _judge(
        self, runners: Sequence[BaseRunner], marks: Mapping[str, _Counters], reading: Reading, elapsed: float
    ) -> None:
        self.windows += 1
        machine = _share(
            reading.machine_busy_seconds, self._reading.machine_busy_seconds, reading, self._reading
        )
        throttled = None
        if reading.throttled_seconds is not None and self._reading.throttled_seconds is not None:
            throttled = (reading.throttled_seconds - self._reading.throttled_seconds) / elapsed
        on_purpose = [runner.name for runner in runners if saturates_on_purpose(runner.scenario)]
        self.on_purpose += [name for name in on_purpose if name not in self.on_purpose]
        values = [("", resource, value) for resource, value in self._of_process(reading, elapsed)]
        for runner in runners:
            name = runner.name
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
                tally = self._tallies[resource, name] = Tally(
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
    """Whether a scenario asks for as many requests as this process can make: readers that never think."""
    return (
        scenario.mode is TestMode.RANDOM_GETS
        and scenario.think_seconds == 0
        and isinstance(workload_of(scenario), ClosedLoad)
    )


def _counters(runner: BaseRunner) -> _Counters:
    punctuality = runner.punctuality
    burden = getattr(runner.client, "burden", None)
    return _Counters(
        starts=punctuality.starts,
        late_starts=punctuality.late_starts,
        moments=punctuality.moments,
        late_moments=punctuality.late_moments,
        attempts=burden.attempts if burden else 0,
        waited=burden.waited if burden else 0,
        decode_seconds=burden.decode_seconds if burden else 0.0,
        felt=punctuality.felt,
    )


def _of_scenario(before: _Counters, after: _Counters, elapsed: float) -> Iterator[tuple[str, float]]:
    if before.felt and after.felt:
        moments = after.moments - before.moments
        # A loop that was blocked through the whole window felt nothing in it.
        yield "event_loop", (after.late_moments - before.late_moments) / moments if moments else 1.0
    if after.starts > before.starts:
        yield "start_lateness", (after.late_starts - before.late_starts) / (after.starts - before.starts)
    if after.attempts > before.attempts:
        yield "connections", (after.waited - before.waited) / (after.attempts - before.attempts)
        yield "decoding", (after.decode_seconds - before.decode_seconds) / elapsed


def _burden(runner: BaseRunner) -> dict[str, Any]:
    burden = getattr(runner.client, "burden", None)
    if burden is None:
        return {}
    return {
        "connections_limit": burden.limit,
        "most_requests_at_once": burden.most_requests,
        "requests_that_waited_for_a_connection": burden.waited,
        "waited_for_connections_seconds": burden.waited_seconds,
        "decode_seconds": burden.decode_seconds,
    }


def _share(after: float | None, before: float | None, reading: Reading, earlier: Reading) -> float | None:
    whole, whole_before = reading.machine_seconds, earlier.machine_seconds
    if after is None or before is None or whole is None or whole_before is None or whole <= whole_before:
        return None
    return (after - before) / (whole - whole_before)
