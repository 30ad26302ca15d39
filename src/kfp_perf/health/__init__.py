"""Whether the test itself is in good health: the generator, the API, this machine, and every scenario."""

from kfp_perf.health.bounds import BOUNDS, Bound
from kfp_perf.health.checks import HealthChecks
from kfp_perf.health.generator import GeneratorWatch
from kfp_perf.health.machine import raise_open_files_limit

__all__ = ["BOUNDS", "Bound", "GeneratorWatch", "HealthChecks", "raise_open_files_limit"]
