"""Records everything that a scenario does: counters, files, and the users' collectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_perf.result.records import Purpose
from kfp_perf.result.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kfp_perf.metrics.collector import GuardedCollector
    from kfp_perf.result.records import RunRecord, Sample
    from kfp_perf.result.scenario_writer import ScenarioWriter


class Recorder:
    """Records the operations and runs of one scenario; belongs to its thread.

    `writer` is where they are written (None: nowhere), `collectors` are the users' own. The built-in families
    are made from the files when the test is over, so that they cost the load nothing.
    """

    def __init__(
        self, writer: ScenarioWriter | None = None, collectors: Sequence[GuardedCollector] = ()
    ) -> None:
        self.tally = Tally()
        self.writer = writer
        self.collectors = tuple(collectors)
        self._measured_from = 0.0

    def measure_from(self, moment: float) -> None:
        """Set when the warm-up ends, in seconds since the Unix epoch."""
        self._measured_from = moment
        for collector in self.collectors:
            collector.measure_from(moment)

    def sample(self, sample: Sample) -> None:
        """Record one operation with its attempts."""
        self.tally.on_sample(sample)
        if self.writer is not None:
            warmup = sample.due < self._measured_from and sample.purpose is Purpose.LOAD
            self.writer.sample(sample, warmup=warmup)
        for collector in self.collectors:
            collector.on_sample(sample)

    def run(self, record: RunRecord) -> None:
        """Record one run that ended, or was in flight at the end of the test; `tally` counts it separately."""
        for collector in self.collectors:
            collector.on_run(record)
        if self.writer is not None:
            self.writer.run(record)
