"""Series whose neighbours are alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def autoregressive(
    random: np.random.Generator, coefficient: float, size: int, count: int
) -> NDArray[np.float64]:
    """`count` first-order autoregressive series of unit variance, a row each."""
    series = np.empty((size, count))
    series[0] = random.normal(size=count)
    noise = random.normal(0.0, np.sqrt(1.0 - coefficient**2), (size, count))
    for at in range(1, size):
        series[at] = coefficient * series[at - 1] + noise[at]
    return series.T
