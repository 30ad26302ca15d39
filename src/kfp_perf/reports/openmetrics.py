"""The main figures as OpenMetrics text: for GitLab's metrics reports, and for what reads Prometheus' format."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from kfp_perf.metrics import METRICS
from kfp_perf.metrics.metric import Unit, declared_metrics
from kfp_perf.metrics.registry import Registry
from kfp_perf.reports.document import complete, dig

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from kfp_perf.metrics.registry import NamedMetric
    from kfp_perf.result.reader import TestResult

#: What is written of each scenario and of the whole test, where it has a value, besides what thresholds judge.
#: `{call}` stands for each operation of the load.
FIGURES = (
    *(f"run.visible.{statistic}" for statistic in ("mean", "p50", "p95")),
    *(f"run.duration.{statistic}" for statistic in ("mean", "p50", "p95")),
    "run.success_rate",
    "run.throughput",
    *(f"api.{{call}}.latency.{statistic}" for statistic in ("mean", "p95", "p99")),
    "api.{call}.error_rate",
)
#: What a metric's name ends with, by its unit.
_SUFFIXES = {Unit.SECONDS: "seconds", Unit.SHARE: "ratio", Unit.CHANGE: "ratio"}
_VERDICT = "kfp_perf_exit_code"


class _Point(NamedTuple):
    name: str
    unit: str
    help: str
    labels: tuple[tuple[str, str], ...]
    value: float


def draw_openmetrics(result: TestResult) -> dict[str, bytes]:
    """A gauge for each figure, with the labels `test` and, of a scenario, `scenario`; `+Inf` is not reached."""
    return {"metrics.txt": openmetrics_of(result.document)}


def openmetrics_of(document: dict[str, Any]) -> bytes:
    """The OpenMetrics text of a result document."""
    return openmetrics_of_executions([("", document)])


def openmetrics_of_executions(executions: Iterable[tuple[str, dict[str, Any]]]) -> bytes:
    """The OpenMetrics text of several results, each with its label `execution`; the points of a metric together."""
    families: dict[str, list[_Point]] = {}
    for label, document in executions:
        for point in _points(complete(document)[0]):
            labels = (*point.labels, *((("execution", label),) if label else ()))
            families.setdefault(point.name, []).append(point._replace(labels=labels))
    lines = []
    for name, points in sorted(families.items()):
        first = points[0]
        lines.append(f"# TYPE {name} gauge")
        if first.unit:
            lines.append(f"# UNIT {name} {first.unit}")
        lines.append(f"# HELP {name} {_escaped(first.help)}")
        lines += dict.fromkeys(_line(point) for point in points)
    return ("\n".join([*lines, "# EOF"]) + "\n").encode(errors="replace")


def _points(document: Mapping[str, Any]) -> Iterator[_Point]:
    test = ("test", str(document["name"]))
    code = document["verdict"]["exit_code"]
    yield _Point(_VERDICT, "", "The exit code of the test: 0 passed, 1 failed, 5 invalid.", (test,), code)
    registry = Registry(METRICS, declared_metrics(document.get("declared_metrics")))
    groups = [(None, document["total"]), *((one["name"], one["metrics"]) for one in document["scenarios"])]
    judged = document.get("thresholds")
    for scenario, metrics in groups:
        labels = (test,) if scenario is None else (test, ("scenario", str(scenario)))
        names = [
            str(one.get("metric"))
            for one in (judged if isinstance(judged, list) else ())
            if isinstance(one, dict) and one.get("scenario") == scenario
        ]
        for name in dict.fromkeys([*_figures(metrics), *names]):
            if (metric := registry.find(name)) is not None:
                for one in metric.expanded(metrics):
                    yield from _point(one, metrics, labels)


def _figures(metrics: Mapping[str, Any]) -> Iterator[str]:
    calls = [call for call in dig(metrics, "api", "load") or () if "." not in call]  # a variant has a dot
    for name in FIGURES:
        yield from (name.replace("{call}", call) for call in calls) if "{call}" in name else (name,)


def _point(
    metric: NamedMetric, metrics: Mapping[str, Any], labels: tuple[tuple[str, str], ...]
) -> Iterator[_Point]:
    value = metric.value_in(metrics)
    if value is None and metric.not_reached_in(metrics):
        value = math.inf
    count = metric.count_in(metrics)
    if value is None or (count is not None and count < metric.fewest):
        return
    unit = _SUFFIXES.get(metric.metric.unit, "")
    stem = re.sub(r"[^A-Za-z0-9_]", "_", f"kfp_perf_{metric.name}")
    yield _Point(f"{stem}_{unit}" if unit else stem, unit, metric.metric.meaning, labels, value)


def _line(point: _Point) -> str:
    labels = ",".join(f'{name}="{_escaped(value, quoted=True)}"' for name, value in point.labels)
    number = "+Inf" if math.isinf(point.value) else repr(point.value)
    return f"{point.name}{{{labels}}} {number}"


def _escaped(text: str, *, quoted: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quoted else text
