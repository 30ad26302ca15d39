"""Where scenarios run: an engine runs each as `run_scenario`; ENGINES is the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_perf.engine.gate import StartGate
from kfp_perf.engine.plugins import Plugins, load_plugins
from kfp_perf.engine.protocol import Engine, Link, ScenarioResult, ScenarioWork
from kfp_perf.engine.threads import ThreadEngine
from kfp_perf.engine.worker import run_scenario

if TYPE_CHECKING:
    from collections.abc import Callable

#: Each engine by its name.
ENGINES: dict[str, Callable[..., Engine]] = {"threads": ThreadEngine}

__all__ = [
    "ENGINES",
    "Engine",
    "Link",
    "Plugins",
    "ScenarioResult",
    "ScenarioWork",
    "StartGate",
    "ThreadEngine",
    "load_plugins",
    "run_scenario",
]
