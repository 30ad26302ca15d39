"""The metrics of records and samples, through the files that a test writes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_perf.metrics.figures import figures_of
from kfp_perf.result.reader import ScenarioFiles
from kfp_perf.result.scenario_writer import ScenarioInfo, ScenarioWriter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kfp_perf.result.records import RunRecord, Sample


def metrics_of(
    records: Iterable[RunRecord] = (), samples: Iterable[Sample] = (), *, measured_from: float = 0.0
) -> dict[str, Any]:
    """The metrics dictionary of one scenario that recorded these, in this order."""
    samples = list(samples)
    with tempfile.TemporaryDirectory() as folder:
        writer = ScenarioWriter(Path(folder) / "s", samples[0].ended if samples else 0.0)
        for record in records:
            writer.run(record)
        for sample in samples:
            writer.sample(sample, warmup=sample.due < measured_from)
        writer.info(ScenarioInfo(name="s", measured=True, ended=True))
        writer.close()
        return figures_of([ScenarioFiles(Path(folder) / "s")]).scenarios["s"]
