"""The smallest pipeline: one step."""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators

from kfp import dsl

from kfp_perf.catalog.sources.steps import echo


@dsl.pipeline(name="kfp-perf-hello", description="One step that prints a message")
def pipeline(message: str = "hello"):
    """Print a message."""
    echo(message=message)
