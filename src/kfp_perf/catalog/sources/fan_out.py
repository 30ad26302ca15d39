"""Many steps side by side: what the scheduler and the cluster do with a burst of pods."""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators

from kfp import dsl

from kfp_perf.catalog.sources.steps import echo

WIDTH = 20


@dsl.pipeline(name="kfp-perf-fan-out", description="Twenty steps side by side between a first and a last one")
def pipeline(message: str = "branch"):
    """Start, spread, and come together again."""
    first = echo(message="start")
    branches = [echo(message=message).after(first) for _ in range(WIDTH)]
    echo(message="end").after(*branches)
