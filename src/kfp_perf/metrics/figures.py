"""The figures of a test, from its files alone: of each scenario, and of all together."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kfp_perf.metrics import METRICS, OF_THE_TEST
from kfp_perf.metrics.collector import EvidenceFamily
from kfp_perf.metrics.intervals import add_intervals
from kfp_perf.metrics.load import LoadMetrics
from kfp_perf.metrics.runs import RunMetrics

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kfp_perf.metrics.collector import MetricFamily
    from kfp_perf.result.evidence import EvidenceFiles
    from kfp_perf.result.reader import ScenarioFiles

log = logging.getLogger(__name__)

Families = dict[str, "MetricFamily"]


@dataclass(frozen=True, slots=True)
class Figures:
    """Metrics dictionaries, a key a family: `scenarios` by name, and `total` of the whole test."""

    scenarios: Mapping[str, dict[str, Any]]
    total: dict[str, Any]

    def of(self, scenario: str | None) -> dict[str, Any]:
        """The metrics of a scenario, or of the whole test (None)."""
        return self.total if scenario is None else self.scenarios.get(scenario, {})


def figures_of(scenarios: Iterable[ScenarioFiles], evidence: EvidenceFiles | None = None) -> Figures:
    """Read the files of all scenarios, and the evidence of the test, and return the figures.

    A user's own metrics are those that the scenario wrote when it ended. Works on the files of a test that
    still runs or was killed: what is there counts.
    """
    files = list(scenarios)
    by_name = {one.info.name: (one, _families_of(one)) for one in files}
    total: Families = {name: family() for name, family in METRICS.items() if family.merges()}
    for _, families in by_name.values():
        for name, family in families.items():
            if name in total:
                total[name].merge(family)
    for family in total.values():
        if isinstance(family, EvidenceFamily) and evidence is not None:
            family.on_evidence(evidence, files)
    every: dict[str | None, Families] = {name: families for name, (_, families) in by_name.items()}
    every[None] = total
    figures = {name: _results(families) for name, families in every.items()}
    add_intervals({name: one for name, (one, _) in by_name.items()}, every, figures)
    return Figures(
        {name: {**one.info.custom, **figures[name]} for name, (one, _) in by_name.items()}, figures[None]
    )


def _families_of(files: ScenarioFiles) -> Families:
    """Feed a scenario's files to a new family of each kind."""
    families: Families = {name: family() for name, family in METRICS.items() if name not in OF_THE_TEST}
    info = files.info
    for family in families.values():
        family.on_info(info)
    for run in files.runs():
        for family in families.values():
            family.on_run(run)
    for calls in files.calls():
        for family in families.values():
            family.on_calls(calls)
    for histogram in files.series():
        for family in families.values():
            family.on_histogram(histogram)
    for state in files.states():
        for family in families.values():
            family.on_state(state)
    runs, load = families["runs"], families["load"]
    if isinstance(runs, RunMetrics) and isinstance(load, LoadMetrics):
        runs.on_backlog(fell_behind=load.may_have_fallen_behind())
    return families


def _results(families: Families) -> dict[str, Any]:
    results = {name: family.result() for name, family in families.items()}
    return {name: result for name, result in results.items() if result}
