"""Work for processors: what the cluster's nodes add."""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators

from kfp import dsl

from kfp_perf.catalog.sources.steps import compute

WORKERS = 4


@dsl.pipeline(name="kfp-perf-compute-heavy", description="Four steps side by side that each keep a core busy")
def pipeline(iterations: int = 1000):
    """Compute in parallel; each step requests one core."""
    for _ in range(WORKERS):
        compute(iterations=iterations).set_cpu_request("1").set_cpu_limit("1").set_memory_limit("128Mi")
