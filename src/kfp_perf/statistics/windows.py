"""Figures of sliding windows, from counts in slices of time.

A window is moved by a slice at a time, and has at most 60 of them. It holds the operations that were *due* in it,
whenever they ended. One that is not answered yet counts as longer than it has waited, one that failed as longer
than any that was answered. So a figure of a window can only grow while more of its operations end: what breaks an
upper bound now still does when all is known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_SLICES = 60
"""The most slices of a window."""
SHORTEST_SLICE_SECONDS = 1.0
"""Measurements are written by the second."""
SHORTEST_SECONDS = 10.0
"""The shortest window: with fewer slices its edges would count for much."""


def slices_of(seconds: float) -> tuple[int, float]:
    """How many slices a window of this length has, and how long each is in seconds."""
    count = min(MOST_SLICES, max(1, math.floor(seconds / SHORTEST_SLICE_SECONDS + 1e-9)))
    return count, seconds / count


@dataclass(frozen=True, slots=True, eq=False)
class Sliced:
    """Operations by the slice in which they were due; a row, or an item, for each slice.

    `answered[i, j]` took `seconds[j]` (ascending), `failed[i]` were not answered, and `pending[i]` are not answered
    yet and have waited for `waited[i]` seconds.
    """

    seconds: NDArray[np.float64]
    answered: NDArray[np.int64]
    failed: NDArray[np.int64]
    pending: NDArray[np.int64]
    waited: NDArray[np.float64]

    @property
    def due(self) -> NDArray[np.int64]:
        """All of each slice."""
        return np.asarray(self.answered.sum(axis=1) + self.failed + self.pending)


class WindowFigures(NamedTuple):
    """A figure of each window, the first of which begins with the first slice, and from how many values it is.

    `inf`: above all that was answered. NaN: there is none.
    """

    values: NDArray[np.float64]
    counts: NDArray[np.int64]


def sums(counts: NDArray[np.int64], slices: int) -> NDArray[np.int64]:
    """The sum over each window of so many slices, along the first axis; empty where there is no whole window."""
    if len(counts) < slices:
        return counts[:0]
    total = np.concatenate((np.zeros_like(counts[:1]), np.cumsum(counts, axis=0)))
    return np.asarray(total[slices:] - total[:-slices])


def quantiles(sliced: Sliced, slices: int, share: float) -> WindowFigures:
    """The time in seconds that this share of the operations due in each window do not exceed."""
    seconds, answered = sliced.seconds, sliced.answered
    rows = np.flatnonzero(sliced.pending)
    if rows.size:
        seconds = np.union1d(sliced.seconds, sliced.waited[rows])
        answered = np.zeros((len(sliced.answered), seconds.size), dtype=np.int64)
        answered[:, np.searchsorted(seconds, sliced.seconds)] = sliced.answered
        # They take at least what they have waited.
        np.add.at(answered, (rows, np.searchsorted(seconds, sliced.waited[rows])), sliced.pending[rows])
    ranks = np.cumsum(sums(answered, slices), axis=1)
    within = ranks[:, -1] if ranks.shape[1] else np.zeros(len(ranks), dtype=np.int64)
    total = within + sums(sliced.failed, slices)
    wanted = np.clip(np.ceil(share * total - 1e-6), 1, None)
    place = (ranks < wanted[:, None]).sum(axis=1)
    values = np.append(seconds, np.inf)[place]
    return WindowFigures(np.where(total > 0, values, np.nan), total)


def failed_shares(sliced: Sliced, slices: int) -> WindowFigures:
    """The share of the operations due in each window that failed; those that have not ended yet did not."""
    total = sums(sliced.due, slices)
    with np.errstate(invalid="ignore"):
        return WindowFigures(sums(sliced.failed, slices) / total, total)


def rates(ended: NDArray[np.int64], slices: int, seconds: float) -> WindowFigures:
    """How many a second ended in each window of this length."""
    total = sums(ended, slices)
    return WindowFigures(total / seconds, total)


def means(read: NDArray[np.float64], slices: int) -> WindowFigures:
    """The mean in each window of a value that was read in each slice; NaN: it was not."""
    known = ~np.isnan(read)
    count = sums(known.astype(np.int64), slices)
    total = np.concatenate(([0.0], np.cumsum(np.where(known, read, 0.0))))
    in_window = total[slices:] - total[:-slices] if len(read) >= slices else total[:0]
    with np.errstate(invalid="ignore"):
        return WindowFigures(in_window / count, count)


def maxima(read: NDArray[np.float64], slices: int) -> WindowFigures:
    """The largest in each window of a value that was read in each slice; NaN: it was not."""
    count = sums((~np.isnan(read)).astype(np.int64), slices)
    if not count.size:
        return WindowFigures(np.zeros(0), count)
    windows = np.lib.stride_tricks.sliding_window_view(np.nan_to_num(read, nan=-np.inf), slices)
    largest = windows.max(axis=1)
    return WindowFigures(np.where(count > 0, largest, np.nan), count)


class Worst(NamedTuple):
    """The window with the worst figure: the place of its first slice, the figure, and from how many values."""

    place: int
    value: float
    operations: int


def worst_of(figures: WindowFigures, comparison: str, bound: float, fewest: int = 1) -> Worst | None:
    """The window that is furthest on the wrong side of a bound; None where none has enough values.

    `comparison` is `<`, `<=`, `>`, `>=` or `==`. Of windows that are equally bad it is the first.
    """
    judged = np.flatnonzero((figures.counts >= fewest) & ~np.isnan(figures.values))
    if not judged.size:
        return None
    above = figures.values[judged] - bound
    bad = np.abs(above) if comparison == "==" else above if comparison.startswith("<") else -above
    place = int(judged[np.argmax(bad)])
    return Worst(place, float(figures.values[place]), int(figures.counts[place]))


def spread_pending(due: NDArray[np.int64], ended: NDArray[np.int64], pending: int) -> NDArray[np.int64]:
    """In which slices the operations were due that have not ended: `pending` of them.

    A slice has as many as were due in it and have not ended. When an operation was due is known to within a
    slice, so that such a difference may be wrong by a few: the newest slices get theirs first, and the older ones
    what is left. So an operation is rather taken as newer than it is, which makes no figure worse than it is.
    """
    open_ = np.maximum(due - ended, 0)
    newer = np.cumsum(open_[::-1])[::-1] - open_
    return np.asarray(np.clip(pending - newer, 0, open_))
