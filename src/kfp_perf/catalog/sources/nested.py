"""Pipelines in pipelines: each level adds a driver."""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators

from kfp import dsl

from kfp_perf.catalog.sources.steps import echo


@dsl.pipeline(name="level-three")
def level_three(message: str):
    """Do the work of the innermost level."""
    echo(message=message)


@dsl.pipeline(name="level-two")
def level_two(message: str):
    """Hold the third level."""
    before = echo(message=message)
    level_three(message=message).after(before)


@dsl.pipeline(name="level-one")
def level_one(message: str):
    """Hold the second level."""
    before = echo(message=message)
    level_two(message=message).after(before)


@dsl.pipeline(name="kfp-perf-nested", description="Pipelines in pipelines, three levels deep")
def pipeline(message: str = "level"):
    """Hold the first level."""
    before = echo(message=message)
    level_one(message=message).after(before)
