"""The parts of docs/metrics.md and docs/comparing.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_perf.metrics import METRICS
from reference.tables import table

if TYPE_CHECKING:
    from collections.abc import Callable


def metrics_of(family: str) -> Callable[[], str]:
    """Return what writes the metrics of a family."""

    def write() -> str:
        rows = []
        for metric in METRICS[family].metrics:
            place = ".".join(metric.path).replace("{call}", "{purpose}.{operation}")
            statistics = ", ".join(f"`.{statistic}`" for statistic in metric.statistics)
            rows.append(
                [
                    f"`{metric.name}`",
                    statistics,
                    metric.unit.value,
                    metric.meaning,
                    metric.source,
                    f"`{place}`",
                ]
            )
        return table(("name", "followed by one of", "unit", "meaning", "source", "in `result.json`"), rows)

    return write


def metric_conditions() -> str:
    """Return how conditions are written, by unit."""
    from kfp_perf.metrics.metric import Unit
    from kfp_perf.thresholds import EXAMPLES

    return table(("unit", "conditions, for example"), ([unit.value, EXAMPLES[unit]] for unit in Unit))


def margins() -> str:
    """Return how conditions relative to a baseline are written, by unit."""
    from kfp_perf.metrics.metric import Unit
    from kfp_perf.thresholds import MARGIN_EXAMPLES

    return table(("unit", "conditions, for example"), ([unit.value, MARGIN_EXAMPLES[unit]] for unit in Unit))


def metrics_with_windows() -> str:
    """Return the metrics that have a figure in a window."""
    from kfp_perf.metrics.windowed import WINDOWED_NAMES

    return ", ".join(f"`{name}`" for name in WINDOWED_NAMES)


def metric_calls() -> str:
    """Return the values of `{call}`."""
    from kfp_perf.metrics.registry import CALLS

    load = (f"`{call}`" for call, (purpose, _) in sorted(CALLS.items()) if purpose == "load")
    return ", ".join(load)


def beside_metrics() -> str:
    """Return the keys of a metrics dictionary beside values."""
    from kfp_perf.metrics.metric import BESIDE

    return table(("key", "meaning"), ([f"`{key}`", meaning] for key, meaning in BESIDE.items()))
