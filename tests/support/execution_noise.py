"""Values of executions as they vary from one to the next, on the log scale, for simulations of comparisons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Draw = Callable[[np.random.Generator, tuple[int, ...]], NDArray[np.float64]]


def _normal(random: np.random.Generator, size: tuple[int, ...]) -> NDArray[np.float64]:
    return np.asarray(random.normal(size=size))


def _skewed(random: np.random.Generator, size: tuple[int, ...]) -> NDArray[np.float64]:
    """A gamma distribution of skewness 1.4: most executions are alike, and some are much slower."""
    return np.asarray((random.gamma(2.0, size=size) - 2.0) / np.sqrt(2.0))


def _bimodal(random: np.random.Generator, size: tuple[int, ...]) -> NDArray[np.float64]:
    """Two states, three standard deviations apart, of which the slower one is met in three of ten executions."""
    slow = random.random(size) < 0.3
    values = random.normal(size=size) + 3.0 * slow
    return np.asarray((values - 0.9) / np.sqrt(1.0 + 9.0 * 0.21))


#: Shapes of mean 0 and standard deviation 1.
SHAPES: dict[str, Draw] = {"normal": _normal, "skewed": _skewed, "bimodal": _bimodal}


def sequences(
    random: np.random.Generator, count: int, length: int, *, coefficient: float = 0.0, drift: float = 0.0
) -> NDArray[np.float64]:
    """`count` rows of executions in a row: a stationary AR(1) process of standard deviation 1, plus a drift.

    `drift` is how much the mean changes from the first to the last, in standard deviations.
    """
    noise = random.normal(size=(length, count))
    rows = np.empty((length, count))
    rows[0] = noise[0]
    for place in range(1, length):
        rows[place] = coefficient * rows[place - 1] + np.sqrt(1.0 - coefficient**2) * noise[place]
    return rows.T + drift * np.linspace(0.0, 1.0, length)


def in_pairs(
    random: np.random.Generator, pairs: int, *, at_random: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The places of A and of B, pair by pair, where one pair is executed after another.

    The order within pairs is ABBA ABBA ..., or drawn for each pair.
    """
    swapped = random.integers(0, 2, pairs) if at_random else np.arange(pairs) % 2
    first = np.arange(0, 2 * pairs, 2)
    return first + swapped, first + 1 - swapped
