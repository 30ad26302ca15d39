"""Whether the test itself is in good health: the generator, the API, this machine, and every scenario."""

from kfp_perf.health.bounds import BOUNDS, Bound
from kfp_perf.health.checks import HealthChecks
from kfp_perf.health.generator import GeneratorWatch

__all__ = ["BOUNDS", "Bound", "GeneratorWatch", "HealthChecks"]
