"""Steps one after the other: the latency that each step adds."""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators

from kfp import dsl

from kfp_perf.catalog.sources.steps import echo

STEPS = 5


@dsl.pipeline(name="kfp-perf-sequential", description="Five steps one after the other")
def pipeline(message: str = "step"):
    """Print the message so many times, in a row."""
    before = None
    for number in range(1, STEPS + 1):
        step = echo(message=message).set_display_name(f"step-{number}")
        if before is not None:
            step.after(before)
        before = step
