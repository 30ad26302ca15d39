"""What few values can say: which quantiles they have, and what one failure among few runs means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_perf.metrics.metric import fewest_values
from kfp_perf.reports.quantities import count_of
from kfp_perf.statistics.quantiles import FINE_QUANTILES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Written = Callable[[float | None], str]

#: Below this number of runs one failure is more than 5 %.
FEW_RUNS = 20
#: The number of scenarios that are named; the others are counted.
MOST_NAMES = 3


def has_enough(distribution: Mapping[str, Any], name: str) -> bool:
    """Whether a distribution has so many values that one of them is beyond a quantile; a mean needs none."""
    share, count = FINE_QUANTILES.get(name), distribution.get("n")
    return share is None or not isinstance(count, int) or count >= fewest_values(share)


def statistic_of(distribution: Mapping[str, Any], name: str, written: Written) -> str:
    """A statistic of a distribution in words, as every report for people has it.

    A dash for a quantile of too few values; `not reached` where it lies above all that was answered or ended.
    """
    if not has_enough(distribution, name):
        return written(None)
    return "not reached" if is_beyond(distribution, name) else written(distribution.get(name))


def is_beyond(distribution: Mapping[str, Any], name: str) -> bool:
    """Whether a statistic lies above all that was answered or ended."""
    return name in (distribution.get("not_reached") or ())


def most_of(distribution: Mapping[str, Any], name: str, written: Written) -> str:
    """How far the values go: `95 % within 3.2 s`; where they are too few for that quantile `at most 3.2 s`."""
    if has_enough(distribution, name):
        if is_beyond(distribution, name):
            return f"{name} not reached"
        return f"{100 * FINE_QUANTILES[name]:g} % within {written(distribution.get(name))}"
    if is_beyond(distribution, "max"):
        return "maximum not reached"
    return f"at most {written(distribution.get('max'))}"


def few_runs(document: Mapping[str, Any]) -> list[str]:
    """A sentence on the scenarios of which so few runs were due that one failure breaks the default threshold."""
    few = [
        one
        for one in document.get("thresholds") or ()
        if isinstance(one, dict)
        and one.get("default")
        and one.get("metric") == "run.success_rate"
        and isinstance(one.get("count"), int)
        and one["count"] < FEW_RUNS
    ]
    if not few:
        return []
    names = [str(one["scenario"]) for one in few if one.get("scenario")]
    more = len(names) - MOST_NAMES
    listed = ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
    due = count_of(few[0]["count"], "run") if len(few) == 1 else f"fewer than {FEW_RUNS} runs"
    of = f"{listed}: " if listed else ""
    breaks = (
        f"a single one that does not succeed breaks the default run.success_rate {few[0].get('condition')}."
    )
    return [f"{of}with {due} due, {breaks}"]
