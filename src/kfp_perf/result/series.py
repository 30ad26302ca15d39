"""`series.hlog`: each second's times, by operation, as a histogram.

The file is an HdrHistogram interval log of version 1.2, which HdrHistogram's own tools and libraries read: a line
holds a tag, when the interval began (seconds from the base time in the file's head), its length, its longest value
in milliseconds, and all its values in microseconds as a compressed histogram.

A tag is `purpose/operation/measure`, with `/warmup` after it for operations that were due in the warm-up; a
list read names its variant, as in `ListRuns.newest`. The measures are in MEASURES.
https://hdrhistogram.github.io/HdrHistogram/ describes format and tools.
"""

from __future__ import annotations

import base64
import contextlib
import re
import struct
import zlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from hdrh.histogram import HdrHistogram

from kfp_perf.statistics.histogram import DIGITS, HIGHEST_MICROSECONDS, LOWEST_MICROSECONDS, bins_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

#: The kinds of times that a line of the file can hold.
MEASURES = {
    "latency": "operations that were answered, from due to the end of the last attempt",
    "failed": "operations that failed, from due to the end of the last attempt",
    "service": "attempts that succeeded, from headers written to the complete answer",
    "lateness": "operations of the load, from due to the headers of the first attempt",
}
WARMUP = "warmup"
_BASE_TIME = re.compile(r"#\[BaseTime: ([\d.]+) ")


def series_head(base: float) -> bytes:
    """Return the first lines of the file; `base` is the second from which its times count."""
    began = datetime.fromtimestamp(base, UTC).isoformat(" ")
    return (
        "#[times in microseconds by purpose/operation/measure, a line a second; written by kfp-perf]\n"
        "#[Histogram log format version 1.2]\n"
        f"#[StartTime: {base:.3f} (seconds since epoch), {began}]\n"
        f"#[BaseTime: {base:.3f} (seconds since epoch)]\n"
        '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"\n'
    ).encode()


class SeriesEncoder:
    """Encodes the times of one second as a line; the buffer of the histogram is used again."""

    def __init__(self, base: float) -> None:
        self._base = base
        self._scratch = HdrHistogram(LOWEST_MICROSECONDS, HIGHEST_MICROSECONDS, DIGITS)
        self._counts = np.frombuffer(self._scratch.counts, dtype=np.uint64)

    def line(self, tag: str, second: int, seconds: NDArray[np.float64]) -> bytes:
        """Return the line, without its end."""
        seconds = np.maximum(seconds, 0.0)
        bins, counts = np.unique(bins_of(seconds), return_counts=True)
        scratch = self._scratch
        self._counts[bins] = counts
        scratch.total_count = int(seconds.size)
        scratch.max_value = scratch.get_value_from_index(int(bins[-1]))
        payload = bytes(scratch.encode())
        self._counts[bins] = 0
        head = f"Tag={tag},{second - self._base:.3f},1.000,{seconds.max() * 1e3:.3f},"
        return head.encode() + payload


class HistogramLine(NamedTuple):
    """A line of the file: in the second that begins at `second` `counts[i]` times fell into `bins[i]`."""

    purpose: str
    operation: str
    variant: str
    measure: str
    warmup: bool
    second: float
    longest: float
    bins: NDArray[np.int64]
    counts: NDArray[np.int64]


def read_series(path: Path) -> Iterator[HistogramLine]:
    """Read the file in order. A truncated line is skipped; a missing file counts as empty."""
    base = 0.0
    with contextlib.suppress(FileNotFoundError), path.open(encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("#"):
                head = _BASE_TIME.match(line)
                base = float(head[1]) if head else base
            elif line.startswith("Tag="):
                # An invalid line: base64, zlib and struct each raise their own exceptions.
                with contextlib.suppress(Exception):
                    yield _parse(line, base)


def _parse(line: str, base: float) -> HistogramLine:
    tag, begin, _length, longest, payload = line.rstrip("\n").split(",")
    purpose, operation, measure, *marks = tag.removeprefix("Tag=").split("/")
    name, _, variant = operation.partition(".")
    bins, counts = decode_counts(payload)
    return HistogramLine(
        purpose,
        name,
        variant,
        measure,
        WARMUP in marks,
        base + float(begin),
        float(longest) / 1e3,
        bins,
        counts,
    )


_HEADER_BYTES = 40  # of an encoded histogram: cookie, length, offset, digits, lowest, highest, ratio


def decode_counts(payload: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the bins of a compressed histogram that hold something, and their counts.

    The same as HdrHistogram's own decoder finds, in less than half of its time, most of which goes into an array
    of all bins. Counts are zigzag LEB128 numbers of up to nine bytes; a negative one is so many empty bins
    (encoding V2, described in
    https://github.com/HdrHistogram/HdrHistogram/blob/master/src/main/java/org/HdrHistogram/AbstractHistogram.java).
    Raises `ValueError`, `struct.error` or `zlib.error` for another text.
    """
    raw = base64.b64decode(payload, validate=True)
    (length,) = struct.unpack_from(">i", raw, 4)
    encoded = np.frombuffer(zlib.decompress(raw[8 : 8 + length]), dtype=np.uint8)[_HEADER_BYTES:]
    last = np.flatnonzero(encoded < 0x80)
    if not last.size or last[-1] != encoded.size - 1:
        raise ValueError("a number is cut off")
    first = np.concatenate(([0], last[:-1] + 1))
    place = np.arange(encoded.size) - np.repeat(first, last - first + 1)
    parts = (encoded & 0x7F).astype(np.uint64) << (7 * place).astype(np.uint64)
    zigzag = np.add.reduceat(parts, first)
    numbers = (zigzag >> np.uint64(1)).astype(np.int64) ^ -(zigzag & np.uint64(1)).astype(np.int64)
    ends = np.cumsum(np.where(numbers < 0, -numbers, 1))
    held = numbers > 0
    return ends[held] - 1, numbers[held]
