"""How much neighbours in a series are alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_HIGHEST = 0.99


def first_order_correlation(values: ArrayLike) -> float:
    """The correlation of neighbours, with its bias removed (Marriott and Pope, Biometrika 41, 1954); at most 0.99.

    Zero where all values are equal or there are fewer than six.
    """
    data = np.asarray(values, dtype=np.float64)
    centred = data - data.mean() if data.size else data
    spread = float(centred @ centred)
    if data.size < 6 or spread <= 1e-12 * float(data @ data):
        return 0.0
    correlation = float(centred[:-1] @ centred[1:]) / spread
    return min(_HIGHEST, (data.size * correlation + 1.0) / (data.size - 4.0))
