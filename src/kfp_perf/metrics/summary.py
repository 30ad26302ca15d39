"""The usual figures of raw values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_perf.statistics.quantiles import QUANTILES, quantile
from kfp_perf.statistics.trend import trend

if TYPE_CHECKING:
    from array import array


def summary(values: array[float]) -> dict[str, float]:
    """The number `n`, quantiles, maximum and mean of raw values; empty where there are none.

    Quantiles are order statistics: values that were seen, never between two.
    """
    if not values:
        return {}
    data = np.array(values)
    quantiles = {name: quantile(data, share) for name, share in QUANTILES.items()}
    return {"n": data.size, **quantiles, "max": float(data.max()), "mean": float(data.mean())}


def trend_summary(times: array[float], values: array[float]) -> dict[str, Any] | None:
    """How values (seconds) drift over time; None where there are too few to tell.

    `change_share` is the change from the first to the last as a share of the median; it has an interval.
    """
    found = trend(times, values)
    if found is None:
        return None
    shares = found.seconds / found.typical if found.typical > 0.0 else None
    return {
        "slope_per_hour": found.slope * 3600.0,
        "interval_per_hour": [found.low * 3600.0, found.high * 3600.0],
        "change_seconds": found.slope * found.seconds,
        "change_share": None if shares is None else found.slope * shares,
        "intervals": {} if shares is None else {"change_share": [found.low * shares, found.high * shares]},
        "p_value": found.p_value,
        "drifts": found.drifts,
        "points": found.points,
    }
