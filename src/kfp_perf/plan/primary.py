"""The primary metrics of a scenario file: the few by which executions are compared, declared before the test."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kfp_perf.errors import Problem
from kfp_perf.metrics.metric import Unit
from kfp_perf.metrics.registry import ANY, built_in
from kfp_perf.scenario.fields import MOST_PRIMARY
from kfp_perf.scenario.modes import MODES
from kfp_perf.scenario.quantities import format_value
from kfp_perf.thresholds import remedy_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kfp_perf.metrics.registry import NamedMetric, Registry
    from kfp_perf.scenario.modes import Mode
    from kfp_perf.scenario.serde import ParsedFile

#: Values that are compared as ratios: positive, and better or worse in one direction.
COMPARED_UNITS = frozenset({Unit.SECONDS, Unit.PER_SECOND})


class Primary(NamedTuple):
    """A metric of a scenario, or of the whole test (None), by which executions are compared."""

    scenario: str | None
    metric: str


def read_primary(
    parsed: ParsedFile, names: Mapping[int, str], registry: Registry | None = None
) -> tuple[tuple[Primary, ...], tuple[Problem, ...]]:
    """Return the primary metrics of the whole test, then those of the scenarios; and what is wrong with them."""
    registry = registry or built_in()
    found: dict[Primary, None] = {}
    problems: dict[Problem, None] = {}
    for primary, where in _declared(parsed, names):
        metric = registry.find(primary.metric)
        if primary in found:
            problems[Problem(where, f"names {primary.metric} twice", "keep one of them")] = None
        elif metric is None:
            what = f"there is no metric {format_value(primary.metric)}"
            problems[Problem(where, what, remedy_for(primary.metric, registry))] = None
        elif metric.metric.unit not in COMPARED_UNITS or ANY in metric.path:
            what = f"{primary.metric} cannot be compared as a ratio"
            remedy = "name a time or a rate; success and error rates are compared in any case"
            problems[Problem(where, what, remedy)] = None
        elif not any(_may_have(metric, mode) for mode in _modes(parsed, names, primary)):
            what = f"no scenario has values of {primary.metric}"
            problems[Problem(where, what, "name a metric of the load of this file")] = None
        else:
            found[primary] = None
    if len(found) > MOST_PRIMARY:
        what = f"has {len(found)} primary metrics in all, and at most {MOST_PRIMARY} are compared"
        problems[
            Problem(parsed.label, what, "each one more makes all of them less certain: leave some out")
        ] = None
    return tuple(found), tuple(problems)


def _may_have(metric: NamedMetric, mode: Mode) -> bool:
    """Whether scenarios of a mode may have values; families that belong to no mode are those of all."""
    family = metric.path[0]
    return family in mode.metrics or not any(family in one.metrics for one in MODES.values())


def _modes(parsed: ParsedFile, names: Mapping[int, str], primary: Primary) -> list[Mode]:
    """The modes of the scenarios that a metric is about."""
    return [
        scenario.mode_entry
        for index, scenario in parsed.scenarios.items()
        if primary.scenario in {None, names[index]}
    ]


def _declared(parsed: ParsedFile, names: Mapping[int, str]) -> Iterator[tuple[Primary, str]]:
    for place, metric in enumerate(parsed.primary):
        yield Primary(None, metric), parsed.place("$", ("primary", place))
    for index, scenario in parsed.scenarios.items():
        for place, metric in enumerate(scenario.primary):
            yield Primary(names[index], metric), parsed.where(index, ("primary", place))
