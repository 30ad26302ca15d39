"""A step that runs at the end, whether or not the others succeeded."""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators

from kfp import dsl

from kfp_perf.catalog.sources.steps import echo


@dsl.pipeline(name="kfp-perf-exit-handler", description="Two steps, and one that follows in any case")
def pipeline(message: str = "work"):
    """Work, then clean up."""
    last = echo(message="clean up")
    with dsl.ExitHandler(last):
        first = echo(message=message)
        echo(message=message).after(first)
