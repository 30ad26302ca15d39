"""Observing runs: their ends, durations and phases, each with its error bound."""

from kfp_perf.observe.observer import Observer
from kfp_perf.observe.phases import PHASES
from kfp_perf.observe.report import ObserverReport
from kfp_perf.observe.run_analysis import ComponentTotals
from kfp_perf.observe.tracked import TrackedRun
from kfp_perf.pipelines.shape import Dag, shape_of

__all__ = ["PHASES", "ComponentTotals", "Dag", "Observer", "ObserverReport", "TrackedRun", "shape_of"]
