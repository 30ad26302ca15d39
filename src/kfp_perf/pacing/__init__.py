"""Time: the clock, the signal to stop, and `Drive`, the only place that waits for an operation to become due."""

from kfp_perf.pacing.clock import Clock, RealClock, StopSignal
from kfp_perf.pacing.drive import Drive, DriveReport, LoadOperation
from kfp_perf.pacing.lateness import Lateness, measure_lag
from kfp_perf.pacing.own_loop import run_in_own_loop

__all__ = [
    "Clock",
    "Drive",
    "DriveReport",
    "Lateness",
    "LoadOperation",
    "RealClock",
    "StopSignal",
    "measure_lag",
    "run_in_own_loop",
]
