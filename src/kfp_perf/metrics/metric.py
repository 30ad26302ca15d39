"""What a metric is: a name, a unit, a meaning and a source, said once for thresholds, reports and the docs."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from kfp_perf.statistics.quantiles import FINE_QUANTILES, QUANTILES

if TYPE_CHECKING:
    from collections.abc import Mapping


class Unit(StrEnum):
    """What a metric counts in. A share lies between 0 and 1; a change is relative, and may be anything."""

    SECONDS = "seconds"
    SHARE = "share"
    CHANGE = "change"
    COUNT = "count"
    PER_SECOND = "per second"


DISTRIBUTION = (*QUANTILES, "max", "mean")
FINE_DISTRIBUTION = (*FINE_QUANTILES, "max", "mean")

#: What stands beside the values of metrics in a metrics dictionary, and is no metric of its own.
BESIDE: Mapping[str, str] = {
    "n": "How many values a distribution was made from.",
    "not_reached": "The statistics of this distribution that lie above all that was answered, or that ended: "
    "`null`, and longer than any bound.",
    "longest_answered": "The longest of the values; those that rank above it have none.",
    "intervals": "95 % confidence intervals `[low, high]` of the values of these names; `null` for an end that the "
    "data does not reach.",
    "unfinished_runs": "How runs without an end count in `duration_seconds`. `none`: there are none. `rank_last`: "
    "they were followed for the whole grace period, and rank above all that ended. `censored`: the user ended the "
    "test, and each counts as longer than it was followed (Kaplan-Meier). `excluded`: the load fell behind, or it "
    "cannot be told, so the runs that ended are no sample of all, and there are no statistics.",
    "of_succeeded": "The same of the runs that the other phases are of: those that succeeded and executed.",
    "errors_by_kind": "`errors`, by HTTP status or by what went wrong.",
    "errors_by_message": "Failures by `kind` and `message`, the most frequent first: what varies is written "
    "`…`, and those beyond 20 different ones are `other messages`.",
    "attempt_errors": "Failed attempts, by HTTP status or by what went wrong.",
    "failed_seconds": "The times from due to the end of the last attempt of operations that failed.",
    "fell_behind_reason": "Why it cannot be told whether the server fell behind.",
    "behind_since": "Since when the server has been behind, in seconds since the Unix epoch.",
    "behind_since_seconds": "The same, in seconds from the start of the scenario's load.",
    "offered_per_second": "How many runs a second were due while it was judged whether the server fell behind.",
    "completed_per_second": "How many runs a second left meanwhile.",
    "judged_runs": "From how many runs that was told.",
    "warmup_requests": "Operations of the load that were due in the warm-up, which count nowhere else.",
    "worst_error_seconds": "The largest of the bounds of which `error_seconds` is the mean.",
    "slope_per_hour": "Of a trend: by how many seconds times grow in an hour.",
    "interval_per_hour": "Its 95 % confidence interval.",
    "change_seconds": "By how many seconds they changed from the first to the last.",
    "p_value": "How likely so much of a trend would be where there is none (Mann-Kendall, with autocorrelation).",
    "drifts": "Whether the interval leaves only one direction.",
    "points": "From how many values, or medians of slices of time, the trend was told.",
}


def fewest_values(share: float) -> int:
    """From how many values a quantile can be told: so many that one lies beyond it (100 for p99)."""
    return math.ceil(1.0 / (1.0 - share) - 1e-6)


_ABSENT = "it cannot be told"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric, or one for each operation, phase or component that a test has.

    `name` is what thresholds call it; `{operation}` and the like in it stand for names. `path` is where its value
    stands in a metrics dictionary, with the same. A distribution has `statistics`, one of which follows the name
    (`run.duration.p95`). `count_path` leads to how many values it was made from; empty: it is a count itself.
    `absent` says why a statistic may be missing although there were values. `error_path` leads to how far off the
    values are at most; empty: they are exact.
    """

    name: str
    unit: Unit
    meaning: str
    source: str
    path: tuple[str, ...]
    statistics: tuple[str, ...] = ()
    count_path: tuple[str, ...] = ()
    absent: str = _ABSENT
    error_path: tuple[str, ...] = ()


def declared_metrics(plain: object) -> list[Metric]:
    """The metrics of users' collectors in a document; those that are damaged are left out."""
    found = []
    for one in plain if isinstance(plain, list) else ():
        with contextlib.suppress(KeyError, TypeError, ValueError):
            paths = {key: tuple(one[key]) for key in ("path", "statistics", "count_path", "error_path")}
            found.append(Metric(**{**one, **paths, "unit": Unit(one["unit"])}))
    return found


def distribution(
    name: str,
    meaning: str,
    source: str,
    path: tuple[str, ...],
    statistics: tuple[str, ...] = DISTRIBUTION,
    absent: str = _ABSENT,
    error_path: tuple[str, ...] = (),
) -> Metric:
    """A metric of times, of which the metrics dictionary holds statistics and their number `n`."""
    return Metric(name, Unit.SECONDS, meaning, source, path, statistics, (*path, "n"), absent, error_path)
