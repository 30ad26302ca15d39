"""Two whole numbers and their sum: the smallest pipeline with parameters of its own."""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, no-warn-return-any

from kfp import dsl

from kfp_perf.catalog.sources.steps import add


@dsl.pipeline(name="kfp-perf-add-numbers", description="One step that adds two whole numbers")
def pipeline(a: int = 1, b: int = 2) -> int:
    """Add two numbers."""
    return add(a=a, b=b).outputs["total"]
