"""A large dataset that is written, split and read: what the object store and the artifacts' metadata add."""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators

from kfp import dsl

from kfp_perf.catalog.sources.steps import check_rows, take_shard, write_rows

SHARDS = 4
ROWS_PER_SHARD = 2_500_000


@dsl.pipeline(
    name="kfp-perf-pipeline-with-large-datasets",
    description="A dataset of ten million rows (about 410 MB) that is written, split in four, and read",
)
def pipeline(rows: int = SHARDS * ROWS_PER_SHARD, rows_per_shard: int = ROWS_PER_SHARD):
    """Write the rows, take each fourth of them, and count those."""
    written = write_rows(rows=rows)
    for shard in range(SHARDS):
        taken = take_shard(data=written.outputs["data"], shard=shard, shards=SHARDS)
        check_rows(data=taken.outputs["part"], rows=rows_per_shard)
