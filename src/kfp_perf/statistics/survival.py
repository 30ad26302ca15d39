"""Times to an end, where some had not ended when the test stopped looking.

What is known of those depends on why they had not ended, and `Unfinished` names the cases:

- `NONE`: all ended, and quantiles are order statistics.
- `RANK_LAST`: they were followed for the whole grace period and are taken to be longer than all that ended. A
  quantile among them is not reached.
- `CENSORED`: the grace period was cut short, and the load had not fallen behind. That a run was still in flight
  then says nothing about how long it takes, which is what Kaplan and Meier assume.
- `EXCLUDED`: the load fell behind. Runs that were due late take longer and are the ones that did not end, so those
  that ended are no sample of all, and neither they nor the Kaplan-Meier estimate give quantiles.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

CONFIDENCE = 0.95


class Unfinished(Enum):
    """How observations without an end are treated."""

    NONE = auto()
    RANK_LAST = auto()
    CENSORED = auto()
    EXCLUDED = auto()


@dataclass(frozen=True, slots=True)
class Step:
    """A function of time that changes at `times` to `values` and is constant between."""

    times: NDArray[np.float64]
    values: NDArray[np.float64]

    def first_at_most(self, level: float) -> float | None:
        """The first time at which the value is at most `level`; None where it never is. NaN is no value."""
        with np.errstate(invalid="ignore"):
            # Differences of probabilities carry rounding errors of some 1e-16.
            reached = np.flatnonzero(self.values <= level + 1e-12)
        return float(self.times[reached[0]]) if reached.size else None


_NEVER = Step(np.empty(0), np.empty(0))


@dataclass(frozen=True, slots=True)
class Survival:
    """How long something takes, from times of which some are only "longer than".

    `ended` and `censored` are counts. `mean` is the area under the curve up to the longest time, so a lower bound
    where the longest is a censored one. `longest` is the longest that ended, None where none did.
    """

    ended: int
    censored: int
    mean: float
    longest: float | None
    curve: Step
    low: Step
    high: Step

    def quantile(self, share: float) -> float | None:
        """The time within which `share` of all end; None where the data does not reach it."""
        return self.curve.first_at_most(1.0 - share)

    def interval(self, share: float) -> tuple[float | None, float | None]:
        """The confidence interval of a quantile; None for an end that the data does not reach.

        It holds the times at which the band around the curve holds the level (Brookmeyer and Crowley 1982).
        """
        return self.low.first_at_most(1.0 - share), self.high.first_at_most(1.0 - share)


def treatment(unfinished: int, *, cut_short: bool, fell_behind: bool) -> Unfinished:
    """How `unfinished` observations are treated.

    `cut_short` says whether the user ended the grace period before its time, `fell_behind` whether the load did. A
    load of which that is not known is one that fell behind, unless it waits for the server and so cannot.
    """
    if not unfinished:
        return Unfinished.NONE
    if fell_behind:
        return Unfinished.EXCLUDED
    return Unfinished.CENSORED if cut_short else Unfinished.RANK_LAST


def survival(ended: ArrayLike, unfinished: ArrayLike, how: Unfinished) -> Survival | None:
    """Estimate how long something takes; None where there is no time at all or unfinished ones are excluded.

    `ended` are the times of those that ended, `unfinished` for how long the others were followed; `how` is what
    `treatment` says.
    """
    still = np.asarray(unfinished, dtype=np.float64)
    if how is Unfinished.EXCLUDED:
        return None
    if how is Unfinished.NONE and still.size:
        raise ValueError(f"{still.size} are unfinished")
    return _rank_last(ended, still) if how is Unfinished.RANK_LAST else kaplan_meier(ended, still)


def kaplan_meier(ended: ArrayLike, censored: ArrayLike = ()) -> Survival | None:
    """Estimate how long something takes by Kaplan and Meier; None where there is no time at all.

    `ended` are the times of those that ended, `censored` the times after which the others were still going on. It
    assumes that censoring is independent of the duration, which is false where a server falls behind: `survival`
    chooses. The band is Greenwood's with the log-log transformation, which stays within 0 and 1 and holds its level
    in small samples (Kalbfleisch and Prentice, The Statistical Analysis of Failure Time Data, section 1.4).
    """
    from scipy.stats import CensoredData, ecdf  # takes a second to import

    done = np.asarray(ended, dtype=np.float64)
    still = np.asarray(censored, dtype=np.float64)
    if not done.size + still.size:
        return None
    if not done.size:
        return Survival(0, int(still.size), float(still.max()), None, _NEVER, _NEVER, _NEVER)
    estimate = ecdf(CensoredData(uncensored=done, right=still))
    # Where all or none have ended the transformation is undefined: NaN there, of which scipy warns.
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        band = estimate.sf.confidence_interval(CONFIDENCE, method="log-log")
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


def _rank_last(ended: ArrayLike, unfinished: NDArray[np.float64]) -> Survival | None:
    """The estimate in which all unfinished ones take longer than the longest that ended.

    It is Kaplan and Meier's of times that are all censored beyond that, and its band is the binomial one.
    """
    done = np.asarray(ended, dtype=np.float64)
    return kaplan_meier(done, np.maximum(unfinished, done.max()) if done.size else unfinished)


def _step(function: Any) -> Step:
    return Step(np.asarray(function.quantiles), np.asarray(function.probabilities))


def _area(curve: Step) -> float:
    """The integral of the curve from zero (where it is 1) to its last time; negative times reduce it."""
    heights = np.concatenate(([1.0], curve.values[:-1]))
    return float(np.sum(heights * np.diff(curve.times, prepend=0.0)))
