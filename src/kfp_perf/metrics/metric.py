"""The definition of a metric: name, unit, meaning and source, for thresholds, reports and the docs."""

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
    """The unit of a metric. A share is between 0 and 1; a change is relative, and has no limits.

    Cores are seconds of CPU time in a second.
    """

    SECONDS = "seconds"
    SHARE = "share"
    CHANGE = "change"
    COUNT = "count"
    PER_SECOND = "per second"
    BYTES = "bytes"
    CORES = "cores"


DISTRIBUTION = (*QUANTILES, "max", "mean")
FINE_DISTRIBUTION = (*FINE_QUANTILES, "max", "mean")

#: The keys of a metrics dictionary beside the values of metrics.
BESIDE: Mapping[str, str] = {
    "n": "How many values a distribution was made from.",
    "not_reached": "The statistics of this distribution that lie above all that was answered, or that ended: "
    "`null`, and longer than any bound.",
    "longest_answered": "The longest of the values; those that rank above it have none.",
    "intervals": "95 % confidence intervals `[low, high]` of the values of these names; `null` for an end that the "
    "data does not reach.",
    "between": "Between which bounds `[low, high]` a quantile lies that comes from the buckets of a histogram: its "
    "value is the upper one; `null` where it is beyond the last bucket.",
    "processes": "How many processes answered under one address, those that were restarted included.",
    "counter_resets": "How often counters fell although the process was the same: the endpoint contradicts itself.",
    "scrapes": "How many scrapes found metrics.",
    "measured_seconds": "How long the time is that the figures are of: that of the load, from the scrape before it "
    "to the one after it.",
    "handled_by_code": "Calls by their gRPC code.",
    "above": "How many values rank above all others: of pods, those that began a stage and did not end it.",
    "error_seconds": "How far off the values of a distribution are at most.",
    "runs_with_pods": "Of how many runs pods were seen.",
    "other_pods": "Pods of runs that are none of the test's: they are in no other figure.",
    "by_node": "Pods by their node, with the mean of each stage.",
    "reasons": "Why pods failed or had no node at first, with their number.",
    "modelled": "The use of CPU and memory follows a formula of the emulator, and says nothing of a real cluster.",
    "pods_at_end": "Pods of a component at the end of the test.",
    "cpu_request": "Cores that the containers of a component ask for.",
    "cpu_limit": "Cores that they may use at most.",
    "memory_request": "Memory that they ask for, in bytes.",
    "memory_limit": "Memory that they may use at most, in bytes.",
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
    "fell_behind_reason": "Why it is unknown whether the server fell behind.",
    "behind_since": "Since when the server has been behind, in seconds since the Unix epoch.",
    "behind_since_seconds": "The same, in seconds from the start of the scenario's load.",
    "offered_per_second": "How many runs a second were due while it was judged whether the server fell behind.",
    "completed_per_second": "How many runs a second left in that time.",
    "judged_runs": "How many runs that was judged from.",
    "warmup_requests": "Operations of the load that were due in the warm-up; they are in no other figure.",
    "worst_error_seconds": "The largest of the bounds of which `error_seconds` is the mean.",
    "slope_per_hour": "Of a trend: by how many seconds times grow in an hour.",
    "interval_per_hour": "Its 95 % confidence interval.",
    "change_seconds": "By how many seconds they changed from the first to the last.",
    "p_value": "The probability of at least this trend where there is none (Mann-Kendall, with autocorrelation).",
    "drifts": "Whether the interval leaves only one direction.",
    "points": "How many values, or medians of slices of time, the trend was computed from.",
}


def fewest_values(share: float) -> int:
    """The number of values that a quantile needs, so that one of them is beyond it (100 for p99)."""
    return math.ceil(1.0 / (1.0 - share) - 1e-6)


_ABSENT = "the figure is unknown"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric, or one for each operation, phase or component that a test has.

    `name` is its name in thresholds; `{operation}` and the like in it stand for names. `path` is the path of its
    value in a metrics dictionary, with the same placeholders. A distribution has `statistics`, one of which follows
    the name (`run.duration.p95`). `count_path` is the path of the number of values; empty: it is a count itself.
    `absent` is the reason why a statistic may be missing although there were values. `error_path` is the path of
    the error bound of the values; empty: they are exact. `buckets` are the usual upper bounds of the buckets that
    the values are counted in; empty: they are counted one by one.
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
    buckets: tuple[float, ...] = ()


def declared_metrics(plain: object) -> list[Metric]:
    """The metrics of users' collectors in a document; those that are damaged are left out."""
    found = []
    for one in plain if isinstance(plain, list) else ():
        with contextlib.suppress(KeyError, TypeError, ValueError):
            paths = {key: tuple(one[key]) for key in ("path", "statistics", "count_path", "error_path")}
            paths["buckets"] = tuple(one.get("buckets") or ())
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
