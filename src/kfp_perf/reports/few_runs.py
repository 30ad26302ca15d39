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
    """A sentence for each scenario of which so few runs were due that one failure breaks the default threshold."""
    found = []
    for one in document.get("thresholds") or ():
        if not isinstance(one, dict) or not one.get("default") or one.get("metric") != "run.success_rate":
            continue
        due = one.get("count")
        if isinstance(due, int) and due < FEW_RUNS:
            of = f"{one['scenario']}: " if one.get("scenario") else ""
            found.append(
                f"{of}with {count_of(due, 'run')} due, a single one that does not succeed breaks the default "
                f"{one.get('metric')} {one.get('condition')}."
            )
    return found
