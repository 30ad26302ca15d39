"""The usual figures of raw values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kfp_perf.metrics.metric import QUANTILES

if TYPE_CHECKING:
    from array import array


def summary(values: array[float]) -> dict[str, float]:
    """The number `n`, quantiles, maximum and mean of raw values; empty where there are none.

    Quantiles are order statistics (numpy's `inverted_cdf`): values that were seen, never between two.
    """
    if not values:
        return {}
    data = np.array(values)
    at = np.quantile(data, list(QUANTILES.values()), method="inverted_cdf")
    quantiles = dict(zip(QUANTILES, map(float, at), strict=True))
    return {"n": data.size, **quantiles, "max": float(data.max()), "mean": float(data.mean())}
