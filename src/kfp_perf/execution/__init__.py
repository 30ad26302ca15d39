"""From a plan to a result: the target is checked, scenarios run, and whatever happens is written down."""

from kfp_perf.execution.emulated import EmulatorProcess
from kfp_perf.execution.execute import Execution, TestFailed, execute

__all__ = ["EmulatorProcess", "Execution", "TestFailed", "execute"]
