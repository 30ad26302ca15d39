"""From a plan to a result: checks the target, runs the scenarios, and records the outcome."""

from kfp_perf.execution.early_end import StopWhen
from kfp_perf.execution.emulator_process import EmulatorProcess
from kfp_perf.execution.execute import Execution, TestFailed, execute
from kfp_perf.execution.session import run_test

__all__ = ["EmulatorProcess", "Execution", "StopWhen", "TestFailed", "execute", "run_test"]
