"""`series.hlog`: each second's latencies, by operation, as the test goes on.

The file is an HdrHistogram interval log of version 1.2, which HdrHistogram's own tools and libraries read: a line
holds a tag, when the interval began (seconds from the base time in the file's head), its length, its longest value
in milliseconds, and all its values in microseconds as a compressed histogram. A sample belongs to the second in
which it ended. Lines of one tag are in order; those of different scenarios may be some seconds apart.

A tag is `scenario/purpose/operation`, with `/failed` after it for attempts that failed, and `/warmup` for those
that were due in the warm-up. https://hdrhistogram.github.io/HdrHistogram/ describes format and tools.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from array import array
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from hdrh.histogram import HdrHistogram

from kfp_perf.statistics.histogram import DIGITS, HIGHEST_MICROSECONDS, LOWEST_MICROSECONDS, bins_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from kfp_perf.result.records import Purpose, Sample

log = logging.getLogger(__name__)

FAILED = "failed"
WARMUP = "warmup"
_FLUSH_BYTES = 32_768
_BASE_TIME = re.compile(r"#\[BaseTime: ([\d.]+) ")


class SeriesFile:
    """The file, shared by all scenarios of a test: whole lines are appended by one system call each.

    `base` is the second from which its times count. A disk that takes no more is said once in the log, and ends
    the series, but not the test.
    """

    def __init__(self, path: Path, now: float) -> None:
        self.base = float(int(now))
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        began = datetime.fromtimestamp(self.base, UTC).isoformat(" ")
        head = (
            "#[latencies in microseconds by scenario/purpose/operation, a line a second; written by kfp-perf]\n"
            "#[Histogram log format version 1.2]\n"
            f"#[StartTime: {self.base:.3f} (seconds since epoch), {began}]\n"
            f"#[BaseTime: {self.base:.3f} (seconds since epoch)]\n"
            '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"\n'
        )
        self.append(head.encode())

    def append(self, lines: bytes) -> None:
        """Write whole lines; any thread may."""
        if self._file < 0:
            return
        try:
            os.write(self._file, lines)
        except OSError as error:
            log.warning("The series of latencies ends here: %s", error)
            self.close()

    def close(self) -> None:
        """Close the file. Harmless when called again."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)


class _Channel:
    """The second under way of one tag."""

    __slots__ = ("second", "tag", "values")

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.second = 0
        self.values = array("d")


class Series:
    """One scenario's part of the file: takes samples in, and writes a line when a second of a tag is over.

    What a second holds is kept as it came, and sorted into a histogram when the next begins: that is cheap for
    each sample, and needs no histogram for each operation.
    """

    def __init__(self, scenario_name: str, file: SeriesFile) -> None:
        self._scenario = re.sub(r"[\s,/]+", "-", scenario_name)
        self._file = file
        self._channels: dict[tuple[str, str, bool, bool], _Channel] = {}
        self._scratch = HdrHistogram(LOWEST_MICROSECONDS, HIGHEST_MICROSECONDS, DIGITS)
        self._counts = np.frombuffer(self._scratch.counts, dtype=np.uint64)
        self._lines: list[bytes] = []
        self._size = 0

    def add(self, sample: Sample, *, warmup: bool) -> None:
        """Take in one attempt of one request; what is gone has no answer to time."""
        if sample.gone:
            return
        key = (sample.purpose, sample.operation, not sample.error, warmup)
        channel = self._channels.get(key)
        if channel is None:
            channel = self._channels[key] = _Channel(self._tag(sample, warmup=warmup))
        second = int(sample.ended)
        if second != channel.second:
            self._write(channel)
            channel.second = second
        channel.values.append(sample.ended - sample.due)

    def close(self) -> None:
        """Write down what is not written yet."""
        for channel in sorted(self._channels.values(), key=lambda channel: channel.second):
            self._write(channel)
        self._flush()

    def _tag(self, sample: Sample, *, warmup: bool) -> str:
        operation = re.sub(r"[\s,/]+", "-", sample.operation)
        marks = [FAILED] * bool(sample.error) + [WARMUP] * warmup
        return "/".join([self._scenario, sample.purpose.value, operation, *marks])

    def _write(self, channel: _Channel) -> None:
        if not channel.values:
            return
        values, channel.values = np.array(channel.values), array("d")
        payload = self._encode(np.maximum(values, 0.0))
        begin, longest = channel.second - self._file.base, values.max() * 1e3
        line = f"Tag={channel.tag},{begin:.3f},1.000,{longest:.3f},".encode() + payload + b"\n"
        self._lines.append(line)
        self._size += len(line)
        if self._size >= _FLUSH_BYTES:
            self._flush()

    def _encode(self, seconds: NDArray[np.float64]) -> bytes:
        """The histogram of these times in HdrHistogram's compressed text."""
        bins, counts = np.unique(bins_of(seconds), return_counts=True)
        scratch = self._scratch
        self._counts[bins] = counts
        scratch.total_count = int(seconds.size)
        scratch.max_value = scratch.get_value_from_index(int(bins[-1]))
        payload = bytes(scratch.encode())
        self._counts[bins] = 0
        return payload

    def _flush(self) -> None:
        lines, self._lines, self._size = self._lines, [], 0
        if lines:
            self._file.append(b"".join(lines))


class Interval(NamedTuple):
    """A line of the file: in the second that begins at `second` `counts[i]` times fell into `bins[i]`."""

    scenario: str
    purpose: str
    operation: str
    failed: bool
    warmup: bool
    second: float
    bins: NDArray[np.int64]
    counts: NDArray[np.int64]


def read_series(path: Path, purpose: Purpose | None = None) -> Iterator[Interval]:
    """Read the file, in its order; only lines of that purpose, if it is given.

    A line that was cut short is passed over; a missing file holds nothing.
    """
    base = 0.0
    with contextlib.suppress(FileNotFoundError), path.open(encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("#"):
                head = _BASE_TIME.match(line)
                base = float(head[1]) if head else base
            elif line.startswith("Tag=") and (purpose is None or line.split("/", 2)[1:2] == [purpose.value]):
                # Whatever is wrong with a line: base64, zlib and struct each raise their own.
                with contextlib.suppress(Exception):
                    yield _interval(line, base)


def _interval(line: str, base: float) -> Interval:
    tag, begin, _length, _longest, payload = line.rstrip("\n").split(",")
    scenario, purpose, operation, *marks = tag.removeprefix("Tag=").split("/")
    decoded = HdrHistogram.decode(payload)
    counts = np.frombuffer(decoded.counts, dtype=np.uint64)
    bins = np.flatnonzero(counts)
    return Interval(
        scenario,
        purpose,
        operation,
        FAILED in marks,
        WARMUP in marks,
        base + float(begin),
        bins,
        counts[bins].astype(np.int64),
    )
