"""Steps that fail at random and are tried again."""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators

from kfp import dsl

from kfp_perf.catalog.sources.steps import echo, flaky


@dsl.pipeline(
    name="kfp-perf-retries", description="A step that fails at random, tried again up to five times"
)
def pipeline(failure_percent: int = 30):
    """Try a step that may fail, then go on."""
    tried = flaky(failure_percent=failure_percent).set_retry(num_retries=5)
    echo(message="done").after(tried)
