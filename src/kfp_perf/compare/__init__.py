"""Comparing executions of a test: from result folders to a `Comparison`."""

from kfp_perf.compare.comparison import (
    ChangeOutcome,
    Comparison,
    GuardComparison,
    MetricComparison,
    SideSummary,
    compare_sides,
)
from kfp_perf.compare.sides import ExecutionResult, Side, read_side

__all__ = [
    "ChangeOutcome",
    "Comparison",
    "ExecutionResult",
    "GuardComparison",
    "MetricComparison",
    "Side",
    "SideSummary",
    "compare_sides",
    "read_side",
]
