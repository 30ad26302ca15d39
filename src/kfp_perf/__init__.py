"""Performance tests for Kubeflow Pipelines. The public names; each is imported when it is first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kfp_perf._version import __version__
    from kfp_perf.config import TestConfig
    from kfp_perf.engine.protocol import ScenarioResult
    from kfp_perf.execution import TestFailed, run_test
    from kfp_perf.log import LOG_COLORS, Logger
    from kfp_perf.metrics import MetricsCollector
    from kfp_perf.metrics.metric import Metric, Unit
    from kfp_perf.plan import Plan, make_plan
    from kfp_perf.result.reader import TestResult
    from kfp_perf.result.records import RunRecord, Sample
    from kfp_perf.runners import (
        BaseRunner,
        ExperimentRunner,
        JournaledRunner,
        PipelineRunner,
        RandomGetsRunner,
        ScheduledRunner,
        UploadRunner,
        create_runner,
    )
    from kfp_perf.scenario.model import TestScenario
    from kfp_perf.scenario.modes import TestMode
    from kfp_perf.scenario.serde import EnumSerDe, JsonDeserializationUtils
    from kfp_perf.test_performance import TestPerformance

# `import kfp_perf` must be cheap: the command line answers `--version` within a tenth of a second.
_HOMES = {
    "BaseRunner": "kfp_perf.runners",
    "EnumSerDe": "kfp_perf.scenario.serde",
    "ExperimentRunner": "kfp_perf.runners",
    "JournaledRunner": "kfp_perf.runners",
    "JsonDeserializationUtils": "kfp_perf.scenario.serde",
    "LOG_COLORS": "kfp_perf.log",
    "Logger": "kfp_perf.log",
    "Metric": "kfp_perf.metrics.metric",
    "MetricsCollector": "kfp_perf.metrics",
    "PipelineRunner": "kfp_perf.runners",
    "Plan": "kfp_perf.plan",
    "RandomGetsRunner": "kfp_perf.runners",
    "RunRecord": "kfp_perf.result.records",
    "Sample": "kfp_perf.result.records",
    "ScenarioResult": "kfp_perf.engine.protocol",
    "ScheduledRunner": "kfp_perf.runners",
    "TestConfig": "kfp_perf.config",
    "TestFailed": "kfp_perf.execution",
    "TestMode": "kfp_perf.scenario.modes",
    "TestPerformance": "kfp_perf.test_performance",
    "TestResult": "kfp_perf.result.reader",
    "TestScenario": "kfp_perf.scenario.model",
    "Unit": "kfp_perf.metrics.metric",
    "UploadRunner": "kfp_perf.runners",
    "__version__": "kfp_perf._version",
    "create_runner": "kfp_perf.runners",
    "make_plan": "kfp_perf.plan",
    "run_test": "kfp_perf.execution",
}

__all__ = [
    "LOG_COLORS",
    "BaseRunner",
    "EnumSerDe",
    "ExperimentRunner",
    "JournaledRunner",
    "JsonDeserializationUtils",
    "Logger",
    "Metric",
    "MetricsCollector",
    "PipelineRunner",
    "Plan",
    "RandomGetsRunner",
    "RunRecord",
    "Sample",
    "ScenarioResult",
    "ScheduledRunner",
    "TestConfig",
    "TestFailed",
    "TestMode",
    "TestPerformance",
    "TestResult",
    "TestScenario",
    "Unit",
    "UploadRunner",
    "__version__",
    "create_runner",
    "make_plan",
    "run_test",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
