"""The figures of a distribution: quantiles, maximum, mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_perf.statistics.quantiles import QUANTILES, quantile, rank_of
from kfp_perf.statistics.survival import Unfinished, survival
from kfp_perf.statistics.trend import trend

if TYPE_CHECKING:
    from array import array
    from collections.abc import Mapping

    from kfp_perf.statistics.histogram import Histogram


def summary(values: array[float]) -> dict[str, float]:
    """The number `n`, quantiles, maximum and mean of raw values; empty where there are none.

    Quantiles are order statistics: values that were seen, never between two.
    """
    if not values:
        return {}
    data = np.array(values)
    quantiles = {name: quantile(data, share) for name, share in QUANTILES.items()}
    return {"n": data.size, **quantiles, "max": float(data.max()), "mean": float(data.mean())}


def ranked_summary(
    answered: Histogram, above: int, quantiles: Mapping[str, float], mean: float | None
) -> dict[str, Any]:
    """Quantiles of answered operations and of `above` that were not, which rank above all others.

    A quantile that is not reached is None, and its name is in `not_reached`; so is `max` where anything ranks
    above. `n` counts all, `mean` and `longest_answered` are of the answered ones. Empty where there are none.
    """
    count = answered.count
    if not count + above:
        return {}
    values = {name: answered.quantile(share, above) for name, share in quantiles.items()}
    return _ranked(values, count, above, answered.longest, answered.mean, mean)


def ranked_values(ended: array[float], above: int) -> dict[str, Any]:
    """The same of raw values, in seconds: those that ended, and `above` that rank above all of them."""
    if not len(ended) + above:
        return {}
    data = np.sort(np.array(ended))
    values: dict[str, float | None] = {}
    for name, share in QUANTILES.items():
        rank = rank_of(share, data.size + above)
        values[name] = float(data[rank - 1]) if rank <= data.size else None
    longest = float(data[-1]) if data.size else 0.0
    return _ranked(values, data.size, above, longest, float(data.mean()) if data.size else None, None)


def censored_values(ended: array[float], censored: array[float]) -> dict[str, Any]:
    """The same where some were followed only so long, for reasons that have nothing to do with how long they take.

    Quantiles are those of Kaplan and Meier. The mean is None where the longest had not ended: it would be too low.
    """
    found = survival(ended, censored, Unfinished.CENSORED)
    if found is None:
        return {}
    values = {name: found.quantile(share) for name, share in QUANTILES.items()}
    last = found.quantile(1.0)
    values["max"] = last
    not_reached = [name for name, value in values.items() if value is None]
    return {
        "n": found.ended + found.censored,
        **values,
        "mean": None if last is None else found.mean,
        "longest_answered": found.longest,
        **({"not_reached": not_reached} if not_reached else {}),
    }


def excluded_values(ended: array[float]) -> dict[str, Any]:
    """The same where those that ended are no sample of all: their number, the longest, and no statistic."""
    if not ended:
        return {}
    return {
        "n": len(ended),
        **dict.fromkeys((*QUANTILES, "max", "mean")),
        "longest_answered": max(ended),
    }


def _ranked(
    values: dict[str, float | None],
    count: int,
    above: int,
    longest: float,
    mean: float | None,
    exact: float | None,
) -> dict[str, Any]:
    values = {**values, "max": None if above else longest}
    not_reached = [name for name, value in values.items() if value is None]
    return {
        "n": count + above,
        **values,
        "mean": mean if exact is None else exact,
        "longest_answered": longest if count else None,
        **({"not_reached": not_reached} if not_reached else {}),
    }


def trend_summary(times: array[float], values: array[float]) -> dict[str, Any] | None:
    """How values (seconds) drift over time; None where there are too few.

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
