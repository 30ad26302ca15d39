"""How a metric is judged in windows, by its name."""

from __future__ import annotations

from kfp_perf.metrics.registry import built_in
from kfp_perf.metrics.windowed import Windowed, windowed


def how(name: str) -> Windowed:
    """The windowed form of a built-in metric, which must have one."""
    metric = built_in().find(name)
    assert metric is not None
    found = windowed(metric)
    assert found is not None
    return found
