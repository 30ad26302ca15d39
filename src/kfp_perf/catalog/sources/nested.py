"""Pipelines in pipelines: each level adds a driver.

Each level has another step, since the compiler would number equal ones of several levels in an order of chance.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators

from kfp import dsl

from kfp_perf.catalog.sources.steps import choose, compute, echo, pause


@dsl.pipeline(name="level-three")
def level_three(seconds: int):
    """Do the work of the innermost level."""
    pause(seconds=seconds)


@dsl.pipeline(name="level-two")
def level_two(message: str, seconds: int):
    """Hold the third level."""
    before = echo(message=message)
    level_three(seconds=seconds).after(before)


@dsl.pipeline(name="level-one")
def level_one(message: str, seconds: int):
    """Hold the second level."""
    before = compute(iterations=1)
    level_two(message=message, seconds=seconds).after(before)


@dsl.pipeline(name="kfp-perf-nested", description="Pipelines in pipelines, three levels deep")
def pipeline(message: str = "level", seconds: int = 1):
    """Hold the first level."""
    chosen = choose(side=message)
    level_one(message=chosen.outputs["chosen"], seconds=seconds)
