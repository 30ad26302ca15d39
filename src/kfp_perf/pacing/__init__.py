"""Time: the clock, the signal to stop, and `Drive`, the only place that waits for an operation to become due."""

from kfp_perf.pacing.clock import Clock, RealClock, StopSignal
from kfp_perf.pacing.drive import Drive, DriveReport, Operation
from kfp_perf.pacing.lateness import Punctuality, feel_lag
from kfp_perf.pacing.own_loop import run_in_own_loop

__all__ = [
    "Clock",
    "Drive",
    "DriveReport",
    "Operation",
    "Punctuality",
    "RealClock",
    "StopSignal",
    "feel_lag",
    "run_in_own_loop",
]
