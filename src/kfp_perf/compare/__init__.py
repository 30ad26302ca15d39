"""Comparing executions of a test: from result folders to a `Comparison`."""

from kfp_perf.compare.compared_execution import ComparedExecution
from kfp_perf.compare.comparison import (
    Comparison,
    ComparisonVerdict,
    GuardComparison,
    MetricComparison,
    SideSummary,
    compare_sides,
)
from kfp_perf.compare.repeated import RepeatedMetric, repeated_metrics
from kfp_perf.compare.sides import Side, read_duel, read_side

__all__ = [
    "ComparedExecution",
    "Comparison",
    "ComparisonVerdict",
    "GuardComparison",
    "MetricComparison",
    "RepeatedMetric",
    "Side",
    "SideSummary",
    "compare_sides",
    "read_duel",
    "read_side",
    "repeated_metrics",
]
