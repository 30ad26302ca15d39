"""A pipeline with many steps: what the size of its specification and of its status adds."""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators

from kfp import dsl

from kfp_perf.catalog.sources.steps import echo

STAGES = 10
WIDTH = 10


@dsl.pipeline(
    name="kfp-perf-large", description="A hundred steps: ten stages of ten, each after the one before"
)
def pipeline(message: str = "step"):
    """Go through the stages."""
    before: list[dsl.PipelineTask] = []
    for _ in range(STAGES):
        stage = [echo(message=message) for _ in range(WIDTH)]
        for step in stage:
            step.after(*before)
        before = stage
