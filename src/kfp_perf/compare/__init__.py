"""Comparing executions of a test: from result folders to a `Comparison`."""

from kfp_perf.compare.comparison import (
    Comparison,
    GuardComparison,
    MetricComparison,
    Outcome,
    SideSummary,
    compare_sides,
)
from kfp_perf.compare.sides import Execution, Side, read_side

__all__ = [
    "Comparison",
    "Execution",
    "GuardComparison",
    "MetricComparison",
    "Outcome",
    "Side",
    "SideSummary",
    "compare_sides",
    "read_side",
]
