"""Branches and loops: groups that need drivers of their own, some of which do nothing."""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators

from kfp import dsl

from kfp_perf.catalog.sources.steps import choose, echo


@dsl.pipeline(name="kfp-perf-conditions", description="If, elif and else, and loops within loops")
def pipeline(side: str = "left", items: list[str] = ["a", "b", "c"]):  # noqa: B006  data of the specification
    """Take one of three branches, and loop over the items."""
    choice = choose(side=side)
    with dsl.If(choice.outputs["chosen"] == "left"):
        echo(message="left")
    with dsl.Elif(choice.outputs["chosen"] == "right"):
        echo(message="right")
    with dsl.Else():
        echo(message="neither")
    with dsl.ParallelFor(items) as item:
        outer = echo(message=item)
        with dsl.ParallelFor(["x", "y"], parallelism=1) as inner:
            echo(message=inner).after(outer)
