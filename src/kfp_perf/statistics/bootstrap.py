"""How sure quantiles are when neighbours in time are alike: the block bootstrap, over seconds.

Requests of one second share the server's queue, its garbage collection, its neighbours' load. To treat them as
independent would make intervals too narrow by a factor of several; so whole stretches of seconds are drawn.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

RESAMPLES = 1000
FEWEST_BLOCKS = 10
FEWEST_SECONDS = 60
CONFIDENCE = 0.95
_MOST_DRAWS_AT_ONCE = 1_000_000


def block_length(series: ArrayLike) -> int:
    """How long blocks have to be for the circular block bootstrap of a mean, by the series' autocorrelation.

    The automatic choice of Politis and White (Econometric Reviews 23, 2004) with the correction of Patton,
    Politis and White (28, 2009). At least 1, at most a third of the series.
    """
    values = np.asarray(series, dtype=np.float64)
    size = values.size
    if size < 4:
        return 1
    run = max(5, math.ceil(math.sqrt(math.log10(size))))
    most_lags = min(size - 1, math.ceil(math.sqrt(size)) + run)
    covariances = _autocovariances(values, most_lags)
    if covariances[0] <= 0.0:
        return 1
    small = np.abs(covariances[1:]) < 1.96 * math.sqrt(math.log10(size) / size) * covariances[0]
    lag = next((at for at in range(most_lags - run + 1) if small[at : at + run].all()), most_lags)
    width = min(2 * max(lag, 1), most_lags)
    lags = np.arange(-width, width + 1)
    weighted = np.clip(2.0 * (1.0 - np.abs(lags) / width), 0.0, 1.0) * covariances[np.abs(lags)]
    spectrum, curvature = float(weighted.sum()), float((np.abs(lags) * weighted).sum())
    if spectrum <= 0.0:
        return 1
    length = (2.0 * curvature**2 / (4.0 / 3.0 * spectrum**2)) ** (1 / 3) * size ** (1 / 3)
    return max(1, math.ceil(min(float(length), 3.0 * math.sqrt(size), size / 3)))


def share_intervals(
    hits: ArrayLike,
    totals: ArrayLike,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> list[tuple[float, float]] | None:
    """How far off shares may be: for each row of `hits` the differences (below, above) to its share of `totals`.

    `hits` holds a row a share, `totals` what they are shares of; both a value a second, without gaps. Circular
    block bootstrap (Politis and Romano 1992): whole blocks of seconds are drawn with replacement, so that
    neighbours stay together; all rows with the longest block that one of them asks for, since a rare event shows
    a common cause less than a frequent one. None where the time is too short to tell: less than a minute, or than
    10 blocks. Coverage falls below the stated confidence as the autocorrelation time nears a tenth of the test.
    """
    counted = np.atleast_2d(np.asarray(hits, dtype=np.float64))
    all_of = np.asarray(totals, dtype=np.float64)
    size, whole = all_of.size, float(all_of.sum())
    if size < FEWEST_SECONDS or not whole:
        return None
    shares = counted.sum(axis=1) / whole
    length = max(block_length(row - share * all_of) for row, share in zip(counted, shares, strict=True))
    blocks = size // length
    if blocks < FEWEST_BLOCKS:
        return None
    tail = (1.0 - confidence) / 2
    widening = _widening(blocks, tail)
    intervals = []
    for row, share in zip(counted, shares, strict=True):
        drawn = _resample(row, all_of, length, blocks, resamples, seed) - share
        low, high = np.quantile(drawn, [tail, 1.0 - tail])
        intervals.append((float(low) * widening, float(high) * widening))
    return intervals


def _widening(blocks: int, tail: float) -> float:
    """What makes a bootstrap of few blocks as wide as Student's t: it knows neither the mean nor the variance.

    The quantile of t from the normal one by its expansion (Abramowitz and Stegun 26.7.5).
    """
    freedom = blocks - 1
    z = NormalDist().inv_cdf(1.0 - tail)
    t = z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
    return math.sqrt(blocks / freedom) * t / z


def _resample(
    hits: NDArray[np.float64],
    totals: NDArray[np.float64],
    length: int,
    blocks: int,
    resamples: int,
    seed: int,
) -> NDArray[np.float64]:
    """The shares of so many resamples, each of `blocks` blocks; blocks go on at the beginning from the end."""
    hit_sums, total_sums = (_block_sums(values, length) for values in (hits, totals))
    random = np.random.default_rng(seed)
    rows = max(1, _MOST_DRAWS_AT_ONCE // blocks)
    shares = []
    for done in range(0, resamples, rows):
        starts = random.integers(0, hits.size, size=(min(rows, resamples - done), blocks))
        drawn = total_sums[starts].sum(axis=1)
        shares.append(hit_sums[starts].sum(axis=1)[drawn > 0] / drawn[drawn > 0])
    return np.concatenate(shares)


def _block_sums(values: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """The sum of the block that begins at each place."""
    sums = np.cumsum(np.concatenate(([0.0], values, values[: length - 1])))
    return np.asarray(sums[length:] - sums[:-length])


def _autocovariances(values: NDArray[np.float64], most_lags: int) -> NDArray[np.float64]:
    centred = values - values.mean()
    products = [float(centred[: centred.size - lag] @ centred[lag:]) for lag in range(most_lags + 1)]
    return np.array(products) / values.size
