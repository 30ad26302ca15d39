"""Times to an end, where some had not come to their end when the test stopped looking."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Step:
    """A function of time that changes at `times` to `values`, and stays until the next; `before` the first."""

    times: NDArray[np.float64]
    values: NDArray[np.float64]

    def first_at_most(self, level: float) -> float | None:
        """The first time at which the value is at most `level`; None where it never is. NaN is no value."""
        with np.errstate(invalid="ignore"):
            # Differences of probabilities carry rounding errors of some 1e-16.
            reached = np.flatnonzero(self.values <= level + 1e-12)
        return float(self.times[reached[0]]) if reached.size else None


@dataclass(frozen=True, slots=True)
class Survival:
    """The Kaplan-Meier estimate of how long something takes, from times of which some are only "longer than".

    `ended` and `censored` are counts; `mean` is the area under the curve up to the longest time, so a lower bound
    where the longest is a censored one; `longest` is the longest that came to an end (None: none did).
    """

    ended: int
    censored: int
    mean: float
    longest: float | None
    curve: Step
    low: Step
    high: Step

    def quantile(self, share: float) -> float | None:
        """The time within which `share` of all come to their end; None where the data does not reach so far."""
        return self.curve.first_at_most(1.0 - share)

    def interval(self, share: float) -> tuple[float | None, float | None]:
        """The confidence interval of a quantile; None for an end that the data does not reach.

        It holds the times at which the band around the curve holds the level (Brookmeyer and Crowley 1982).
        """
        return self.low.first_at_most(1.0 - share), self.high.first_at_most(1.0 - share)


def kaplan_meier(
    ended: ArrayLike, censored: ArrayLike = (), confidence: float = CONFIDENCE
) -> Survival | None:
    """Estimate how long something takes; None where there is no time at all.

    `ended` are the times of those that came to their end, `censored` the times after which the others were still
    going on. The band is Greenwood's with the log-log transformation, which stays within 0 and 1 and holds its
    level in small samples (Kalbfleisch and Prentice, The Statistical Analysis of Failure Time Data, section 1.4).
    """
    from scipy.stats import CensoredData, ecdf  # takes a second to import

    done = np.asarray(ended, dtype=np.float64)
    still = np.asarray(censored, dtype=np.float64)
    if done.size + still.size == 0:
        return None
    if done.size == 0:
        never = Step(np.empty(0), np.empty(0))
        return Survival(0, int(still.size), float(still.max()), None, never, never, never)
    estimate = ecdf(CensoredData(uncensored=done, right=still))
    # Where all or none have ended the transformation is undefined: NaN there, of which scipy warns.
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        band = estimate.sf.confidence_interval(confidence, method="log-log")
    curve = _step(estimate.sf)
    return Survival(
        ended=int(done.size),
        censored=int(still.size),
        mean=_area(curve),
        longest=float(done.max()),
        curve=curve,
        low=_step(band.low),
        high=_step(band.high),
    )


def _step(function: Any) -> Step:
    return Step(np.asarray(function.quantiles), np.asarray(function.probabilities))


def _area(curve: Step) -> float:
    """The integral of the curve from zero (where it is 1) to its last time; negative times take away."""
    heights = np.concatenate(([1.0], curve.values[:-1]))
    return float(np.sum(heights * np.diff(curve.times, prepend=0.0)))
