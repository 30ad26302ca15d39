"""From a plan to a result: the target is checked, scenarios run, and whatever happens is written down."""

from kfp_perf.execution.emulator_process import EmulatorProcess
from kfp_perf.execution.execute import Execution, TestFailed, execute
from kfp_perf.execution.session import run_test

__all__ = ["EmulatorProcess", "Execution", "TestFailed", "execute", "run_test"]
