"""A runner, a collector with a chart, a report and settings of your own.

kfp-perf run examples/plugin.json --emulator --plugin examples/plugin.py \
    --config-class examples/plugin.py:ExtendedTestConfig
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pydantic import Field

from kfp_perf import BaseRunner, Metric, MetricsCollector, RunRecord, TestConfig, TestResult, Unit
from kfp_perf.reports.charts import Marks, clock_axis, seconds_axis, xy_chart
from kfp_perf.reports.story.blocks import Figure, Section

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kfp_perf.reports.story.report_data import Material


class ExtendedTestConfig(TestConfig):
    """One setting more, read from KFP_PERF_TEAM."""

    team: str = Field("nobody", description="Who runs the test")


class HealthRunner(BaseRunner):
    """Requests the server's health at the scenario's load."""

    async def run(self) -> dict[str, Any]:
        """Send requests until the run time is over."""
        drive = self.drive(self.ask, call="GetHealthz")
        await drive.run()
        await drive.finish()
        return {"asked": drive.report.started, "team": getattr(self.config, "team", "")}

    async def ask(self, index: int, due: float) -> bool:
        """Send one request. Return whether a KFP API server answered."""
        answer = await self.client.healthz(due=due)
        return answer.is_kfp

    def stop(self) -> None:
        """Delete nothing: nothing was created."""


class Gaps(MetricsCollector):
    """How long no run ended."""

    metrics = (
        Metric(
            name="gaps.longest",
            unit=Unit.SECONDS,
            meaning="The longest time without the end of a run.",
            source="the runs of a scenario",
            path=("gaps", "longest"),
        ),
    )

    def __init__(self, scenario_name: str = "") -> None:
        super().__init__(scenario_name)
        self.ends: list[float] = []

    def on_run(self, record: RunRecord) -> None:
        """Record the end of one run."""
        self.ends.append(record.ended)

    def merge(self, other: Gaps) -> None:
        """Add the runs of another scenario."""
        self.ends += other.ends

    def result(self) -> dict[str, Any]:
        """Return the longest gap in seconds, None for fewer than two runs."""
        return {"longest": max((gap for _, gap in gaps_between(self.ends)), default=None)}


def gaps_between(ends: Iterable[float]) -> list[tuple[float, float]]:
    """Return the end of each gap and its length."""
    return [(later, later - sooner) for sooner, later in pairwise(sorted(ends))]


def gaps_section(material: Material) -> Section | None:
    """Draw the gaps over the time of the test."""
    gaps = gaps_between(run.ended - material.started for run in material.result.runs())
    if not gaps:
        return None
    longest = max(gap for _, gap in gaps)
    chart = xy_chart(
        "gaps",
        "Time between the ends of two runs",
        f"{len(gaps)} gaps, the longest {longest:.1f} s.",
        clock_axis(material.seconds, "end of the gap: time since the start of the test, min:s"),
        seconds_axis(longest * 1.1, "gap"),
        [Marks("gaps", gaps, "dot", 0)],
        bands=material.bands,
    )
    return Section("gaps", "How evenly did runs end?", "", [Figure(chart)])


def run_ids(result: TestResult) -> dict[str, bytes]:
    """Write the id of every run, one a line."""
    return {"ids.txt": "".join(f"{run.run_id}\n" for run in result.runs()).encode()}


RUNNERS = {"HEALTH": HealthRunner}
METRICS = {"gaps": Gaps}
SECTIONS = {"gaps": gaps_section}
REPORTS = {"ids": run_ids}
