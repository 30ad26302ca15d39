"""Which metrics are compared, and their values in each execution."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kfp_perf.errors import InputError, Problem
from kfp_perf.metrics.metric import Unit
from kfp_perf.metrics.pods import ROLES, STAGES
from kfp_perf.metrics.registry import CALLS, built_in
from kfp_perf.observe.phases import PHASES
from kfp_perf.result.records import Purpose

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from kfp_perf.compare.compared_execution import ComparedExecution
    from kfp_perf.compare.sides import Side
    from kfp_perf.metrics.registry import NamedMetric, Registry

#: The primary metric of tests that start runs, unless their scenario file names others.
DEFAULT_PRIMARY = "run.visible.mean"

#: The components whose CPU and memory are compared where there is evidence of them.
_COMPONENTS = ("ml-pipeline", "ml-pipeline-persistenceagent", "workflow-controller", "mysql")

#: Compared besides the primary ones, where both sides have values.
FURTHER = (
    *(f"run.visible.{statistic}" for statistic in ("mean", "p50", "p95")),
    *(f"run.duration.{statistic}" for statistic in ("mean", "p50", "p95")),
    "run.throughput",
    *(f"phase.{name}.mean" for name in PHASES),
    *(f"{of}.{what}" for of in ("server", "controller") for what in ("cpu.mean", "memory.max")),
    *(f"pods.{role}.{stage}.mean" for role in ROLES for stage in STAGES),
    *(f"components.{of}.{what}" for of in _COMPONENTS for what in ("cpu.mean", "memory.max")),
)
FURTHER_OF_A_CALL = ("api.{call}.latency.mean", "api.{call}.latency.p95", "server.{call}.handling.mean")

#: Shares that must not get worse, and whether a higher one is better.
GUARDS = {"run.success_rate": True, "api.{call}.error_rate": False}


@dataclass(frozen=True, slots=True)
class ComparedMetric:
    """A metric of a scenario, or of the whole test (None)."""

    scenario: str | None
    metric: NamedMetric

    @property
    def name(self) -> str:
        """Its name, with that of the scenario where it is of one."""
        return self.metric.name if self.scenario is None else f"{self.scenario}: {self.metric.name}"

    @property
    def lower_is_better(self) -> bool:
        """Whether a smaller value is a better one: of times and resources, not of rates."""
        return self.metric.metric.unit in {Unit.SECONDS, Unit.BYTES, Unit.CORES}

    def value_in(self, execution: ComparedExecution) -> float | None:
        """The value; None where it is not reached, and where there is none."""
        return self.metric.value_in(execution.metrics(self.scenario))

    def not_reached_in(self, execution: ComparedExecution) -> bool:
        """Whether the value lies above all that ended or was answered, rather than there being none."""
        metrics = execution.metrics(self.scenario)
        if self.metric.value_in(metrics) is not None:
            return False
        return self.metric.not_reached_in(metrics) or bool(self.metric.count_in(metrics))

    def share_reached_in(self, execution: ComparedExecution) -> float | None:
        """The share of the operations or runs that have a value at all; None where that is not known."""
        metrics, path = execution.metrics(self.scenario), self.metric.path
        match path:
            case ("runs", "visible_seconds", _):
                return number_in(metrics, "runs", "success_rate")
            case ("runs", "duration_seconds", _):
                count, unfinished = self.metric.count_in(metrics), number_in(metrics, "runs", "unfinished")
                return 1.0 - unfinished / count if count and unfinished is not None else None
            case ("api", purpose, call, "latency_seconds", _):
                failed = number_in(metrics, "api", purpose, call, "error_rate")
                return None if failed is None else 1.0 - failed
            case _:
                return None


def primary_metrics(
    baseline: Side, new: Side, registry: Registry | None = None
) -> tuple[ComparedMetric, ...]:
    """The primary metrics that the baseline's scenario file declares, or else the default one of its load.

    Raises `InputError` for a metric that is not known, and where the default one has no values.
    """
    registry = registry or built_in()
    declared = declared_primary(baseline.executions[0])
    if not declared:
        declared = ((None, _default(baseline)),)
    found = []
    for scenario, name in declared:
        metric = registry.find(name)
        if metric is None:
            where = f"{baseline.executions[0].path}: primary"
            remedy = "It may be one of a plug-in: primary metrics are built-in ones."
            raise InputError(Problem(where, f"there is no metric {name!r}", remedy))
        found.append(ComparedMetric(scenario, metric))
    for one in found:
        for side in (baseline, new):
            if not any(_has_values(one, execution) for execution in side.executions):
                raise InputError(
                    Problem(
                        side.name,
                        f"has no values of the primary metric {one.name}",
                        "Compare results of one scenario file, or declare another `primary` in it.",
                    )
                )
    return tuple(found)


def further_metrics(baseline: Side, new: Side, primary: Iterable[ComparedMetric]) -> Iterator[ComparedMetric]:
    """Yield the other metrics of the whole test of which every execution of both sides has a value."""
    taken = {(one.scenario, one.metric.name) for one in primary}
    executions = (*baseline.executions, *new.executions)
    calls = [
        pattern.replace("{call}", call) for call in _load_calls(executions) for pattern in FURTHER_OF_A_CALL
    ]
    for name in (*FURTHER, *calls):
        metric = built_in().find(name)
        if metric is None or (None, name) in taken:
            continue
        compared = ComparedMetric(None, metric)
        if all(compared.value_in(one) is not None for one in executions):
            yield compared


def guards(baseline: Side, new: Side) -> Iterator[tuple[ComparedMetric, bool]]:
    """Yield each guard that every execution has, and whether a higher share is better.

    They are of the whole test, and of each scenario where there are several.
    """
    executions = (*baseline.executions, *new.executions)
    names = baseline.executions[0].scenario_names
    for scenario in (None, *(names if len(names) > 1 else ())):
        for pattern, higher_is_better in GUARDS.items():
            calls = _load_calls(executions, scenario) if "{call}" in pattern else ("",)
            for call in calls:
                metric = built_in().find(pattern.replace("{call}", call))
                if metric is None:
                    continue
                compared = ComparedMetric(scenario, metric)
                if all(compared.value_in(one) is not None for one in executions):
                    yield compared, higher_is_better


def declared_primary(execution: ComparedExecution) -> tuple[tuple[str | None, str], ...]:
    """The primary metrics that the scenario file of an execution declares; none where it leaves them open."""
    return tuple((one["scenario"], one["metric"]) for one in execution.given.get("primary") or ())


def _default(side: Side) -> str:
    if any(number_in(one.metrics(None), "runs", "due") for one in side.executions):
        return DEFAULT_PRIMARY
    calls = _load_calls(side.executions)
    reads = [call for call in calls if call.startswith(("Get", "List"))]
    if not calls:
        what = "has neither runs nor operations of a load: there is nothing to compare"
        raise InputError(Problem(side.name, what, "Name results of tests that had a load."))
    return f"api.{(reads or calls)[0]}.latency.p95"


def _load_calls(executions: Iterable[ComparedExecution], scenario: str | None = None) -> list[str]:
    """The operations of the load without variants, the commonest first."""
    counts: Counter[str] = Counter()
    for execution in executions:
        metrics = execution.metrics(scenario)
        for call in CALLS:
            if "." not in call:
                counts[call] += int(number_in(metrics, "api", Purpose.LOAD.value, call, "count") or 0)
    return [call for call, count in sorted(counts.items(), key=lambda one: (-one[1], one[0])) if count]


def _has_values(compared: ComparedMetric, execution: ComparedExecution) -> bool:
    return compared.value_in(execution) is not None or compared.not_reached_in(execution)


def number_in(metrics: Mapping[str, Any], *path: str) -> float | None:
    """The number at a path of a metrics dictionary; None where there is none."""
    found: Any = metrics
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return float(found) if isinstance(found, int | float) else None
