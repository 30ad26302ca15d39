"""The files of one scenario while it runs: all that was measured is on disk within about a second."""

from __future__ import annotations

import logging
import re
from array import array
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from kfp_perf.result.append_file import LineFile
from kfp_perf.result.calls import CallCounts
from kfp_perf.result.files import (
    CALLS_FILE,
    COUNTERS_FILE,
    RUNS_FILE,
    SCENARIO_FILE,
    SERIES_FILE,
    TASKS_FILE,
)
from kfp_perf.result.records import CallOutcome, Purpose
from kfp_perf.result.result_writer import as_json
from kfp_perf.result.series import WARMUP, SeriesEncoder, series_head
from kfp_perf.result.tasks import Slowest, select_tasks, task_lines
from kfp_perf.result.whole_file import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kfp_perf.result.counters import ScenarioCounters
    from kfp_perf.result.records import RunRecord, Sample

log = logging.getLogger(__name__)


class ScenarioInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a scenario and how it ended; `scenario.json`.

    Times are seconds since the Unix epoch, 0.0 where they are not known yet: `start_at` and `end_at` bound its
    load, `measured_from` is the end of the warm-up, `open_load`: operations are due independently of earlier
    ones. `started` and `finished` bound the work of its runner, and `stopped_at` is when it was stopped before
    its end (0.0: it was not). `error` is the text of the error that ended it
    early (empty: none), and `exit_code` that error's code. `measured`: the load is over and its runs are
    accounted for; `ended`: its clean-up is over as well. `cleanup_failed`: that ended with an error, so it is not
    known what `leftovers` lacks.
    """

    name: str
    mode: str = ""
    start_at: float = 0.0
    end_at: float = 0.0
    measured_from: float = 0.0
    open_load: bool = False
    started: float = 0.0
    finished: float = 0.0
    stopped_at: float = 0.0
    warnings: tuple[str, ...] = ()
    leftovers: tuple[str, ...] = ()
    error: str = ""
    exit_code: int = 0
    measured: bool = False
    ended: bool = False
    cleanup_failed: bool = False
    custom: dict[str, Any] = {}

    @property
    def load_end(self) -> float:
        """The end of the load: `end_at`, or when it was stopped before."""
        return min(self.end_at, self.stopped_at) if self.stopped_at else self.end_at


class StateLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A scenario's counters at one time, and what its runner reports beside them; a line of `counters.jsonl`."""

    counters: dict[str, Any] = {}
    reports: dict[str, Any] = {}


class _Channel:
    """The second under way of one operation."""

    __slots__ = ("counts", "failed", "key", "latency", "service")

    def __init__(self, key: tuple[Purpose, str, str, bool]) -> None:
        self.key = key
        self.counts = CallCounts()
        self.latency = array("d")
        self.failed = array("d")
        self.service = array("d")


def _encoded(info: ScenarioInfo) -> bytes:
    try:
        return msgspec.json.encode(info, enc_hook=str)
    except ValueError:  # a lone surrogate in a text of the user's
        return msgspec.json.encode(as_json(msgspec.to_builtins(info, enc_hook=str)))


_DONE = object()
#: Large or only for display: not in `counters.jsonl`.
_NOT_WRITTEN = ("latency", "lateness", "visible_seconds", "failed_seconds", "by_call", "last_error")


class ScenarioWriter:
    """Writes `runs.jsonl`, `tasks.jsonl`, `calls.jsonl`, `series.hlog`, `counters.jsonl` and `scenario.json`.

    Belongs to one thread. Call `flush` about once a second: it writes the seconds that are over. A full disk is
    logged once for each file, and does not end the test.
    """

    def __init__(self, folder: Path, now: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._unwritten: set[str] = set()
        self._files: dict[str, LineFile] = {
            name: LineFile(folder / name)
            for name in (RUNS_FILE, TASKS_FILE, CALLS_FILE, COUNTERS_FILE, SERIES_FILE)
        }
        base = float(int(now))
        self._encoder = SeriesEncoder(base)
        self._append(SERIES_FILE, series_head(base).rstrip(b"\n"))
        self._slowest = Slowest()
        self._second = int(now)
        self._channels: dict[tuple[Purpose, str, str, bool], _Channel] = {}
        self._lateness: dict[bool, array[float]] = defaultdict(lambda: array("d"))
        self._over: list[Iterator[None]] = []
        self._last_state = b""

    def sample(self, sample: Sample, *, warmup: bool) -> None:
        """Record one operation in the second that is under way."""
        second = int(sample.ended)
        if second > self._second:
            self._next_second(second)
        if self._over:
            self._step()
        key = (sample.purpose, sample.operation, sample.variant, warmup)
        channel = self._channels.get(key)
        if channel is None:
            channel = self._channels[key] = _Channel(key)
        channel.counts.add(sample)
        if sample.outcome is CallOutcome.ANSWERED:
            channel.latency.append(sample.ended - sample.due)
        elif sample.outcome is CallOutcome.FAILED:
            channel.failed.append(sample.ended - sample.due)
        for attempt in sample.attempts:
            if not attempt.error:
                channel.service.append(attempt.ended - attempt.sent)
        if sample.purpose is Purpose.LOAD and (late := sample.lateness_seconds) is not None:
            self._lateness[warmup].append(late)

    def run(self, record: RunRecord) -> None:
        """Write a run and its tasks. `runs.jsonl` keeps tasks only of runs that are among the slowest so far."""
        if record.tasks:
            self._append(TASKS_FILE, task_lines(record))
            is_slow = self._slowest.takes(record.duration_seconds or 0.0)
            record = msgspec.structs.replace(record, tasks=select_tasks(record.tasks) if is_slow else [])
        self._append(RUNS_FILE, msgspec.json.encode(record))

    def state(self, counters: ScenarioCounters, reports: dict[str, Any]) -> None:
        """Write the counters and the runner's reports, where they have changed."""
        fields: dict[str, Any] = msgspec.to_builtins(counters)
        at = fields.pop("at", 0.0)
        for name in _NOT_WRITTEN:
            fields.pop(name, None)
        line = msgspec.json.encode(StateLine(counters=fields, reports=reports), enc_hook=str)
        if line != self._last_state:
            self._last_state = line
            self._append(
                COUNTERS_FILE,
                msgspec.json.encode(StateLine(counters={"at": at, **fields}, reports=reports), enc_hook=str),
            )

    def info(self, info: ScenarioInfo) -> None:
        """Write `scenario.json` atomically."""
        try:
            write_whole(self.folder / SCENARIO_FILE, _encoded(info))
        except OSError as error:
            self._missing(SCENARIO_FILE, error)

    def flush(self, now: float) -> Iterator[None]:
        """Write the seconds that are over; yields between operations, as encoding one takes 0.1 to 0.4 ms."""
        if int(now) > self._second:
            self._next_second(int(now))
        while self._over:
            self._step()
            yield

    def close(self) -> None:
        """Write what is not written yet, and close the files. Calling it again does nothing."""
        self._next_second(self._second + 1)
        while self._over:
            self._step()
        for file in self._files.values():
            file.close()
        self._files = {}

    def _step(self) -> None:
        """Encode and write one operation; doing all of a second at once would delay the load."""
        if next(self._over[0], _DONE) is _DONE:
            self._over.pop(0)

    def _next_second(self, second: int) -> None:
        channels, self._channels = self._channels, {}
        lateness, self._lateness = self._lateness, defaultdict(lambda: array("d"))
        if channels or lateness:
            self._over.append(self._write(self._second, list(channels.values()), dict(lateness)))
        self._second = second

    def _write(
        self, second: int, channels: list[_Channel], lateness: dict[bool, array[float]]
    ) -> Iterator[None]:
        for channel in channels:
            purpose, operation, variant, warmup = channel.key
            line = channel.counts.line(second, operation, purpose, variant, warmup=warmup)
            self._append(CALLS_FILE, msgspec.json.encode(line))
            name = f"{operation}.{variant}" if variant else operation
            for measure, values in (
                ("latency", channel.latency),
                ("failed", channel.failed),
                ("service", channel.service),
            ):
                yield from self._series(second, purpose, name, measure, values, warmup=warmup)
        for warmup, values in lateness.items():
            yield from self._series(second, Purpose.LOAD, "", "lateness", values, warmup=warmup)

    def _series(
        self, second: int, purpose: Purpose, name: str, measure: str, values: array[float], *, warmup: bool
    ) -> Iterator[None]:
        if values:
            tag = "/".join([purpose.value, re.sub(r"[\s,/]+", "-", name), measure, *[WARMUP] * warmup])
            self._append(SERIES_FILE, self._encoder.line(tag, second, np.array(values)))
            yield

    def _append(self, name: str, lines: bytes) -> None:
        file = self._files.get(name)
        if file is None or not lines:
            return
        try:
            file.append(lines)
        except OSError as error:
            self._missing(name, error)

    def _missing(self, name: str, error: OSError) -> None:
        if name not in self._unwritten:
            self._unwritten.add(name)
            log.error("Lines are missing from %s: %s", self.folder / name, error.strerror)
