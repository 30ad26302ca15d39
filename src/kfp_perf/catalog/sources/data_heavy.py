"""Artifacts: what the object store adds."""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators

from kfp import dsl

from kfp_perf.catalog.sources.steps import check_data, copy_data, write_data

BRANCHES = 3


@dsl.pipeline(name="kfp-perf-data-heavy", description="Artifacts that are written, copied and read")
def pipeline(megabytes: int = 64):
    """Write an artifact, copy it along three branches, and read each copy."""
    written = write_data(megabytes=megabytes)
    for _ in range(BRANCHES):
        copied = copy_data(data=written.outputs["data"])
        check_data(data=copied.outputs["copied"], megabytes=megabytes)
