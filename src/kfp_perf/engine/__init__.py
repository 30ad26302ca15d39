"""Where scenarios run: each engine is a `concurrent.futures.Executor` that is given `run_scenario`."""

from kfp_perf.engine.gate import StartGate
from kfp_perf.engine.plugins import Plugins, load_plugins
from kfp_perf.engine.worker import ScenarioContext, run_scenario

__all__ = ["Plugins", "ScenarioContext", "StartGate", "load_plugins", "run_scenario"]
