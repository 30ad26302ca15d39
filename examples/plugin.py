"""A runner, a collector and settings of your own.

kfp-perf run examples/plugin.json --emulator --plugin examples/plugin.py \
    --config-class examples/plugin.py:ExtendedTestConfig
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from kfp_perf import BaseRunner, MetricsCollector, RunRecord, Sample, TestConfig


class ExtendedTestConfig(TestConfig):
    """One setting more, read from KFP_PERF_TEAM."""

    team: str = Field("nobody", description="Who runs the test")


class HealthRunner(BaseRunner):
    """Requests the server's health at the scenario's load."""

    async def run(self) -> dict[str, Any]:
        """Send requests until the run time is over."""
        drive = self.drive(self.ask)
        await drive.run()
        await drive.finish()
        return {"asked": drive.report.started, "team": getattr(self.config, "team", "")}

    async def ask(self, index: int, due: float) -> bool:
        """Send one request. Return whether a KFP API server answered."""
        answer = await self.client.healthz(due=due)
        return answer.is_kfp

    def stop(self) -> None:
        """Delete nothing: nothing was created."""


class SlowRequests(MetricsCollector):
    """Counts requests that took longer than a tenth of a second, and runs that took longer than a minute."""

    slow_requests = 0
    slow_runs = 0

    def on_sample(self, sample: Sample) -> None:
        """Count one request."""
        self.slow_requests += sample.latency_seconds > 0.1

    def on_run(self, record: RunRecord) -> None:
        """Count one run at its end."""
        self.slow_runs += (record.duration_seconds or 0) > 60

    def collect_custom_metrics(self) -> dict[str, Any]:
        """Return both counts."""
        return {"slow_requests": self.slow_requests, "slow_runs": self.slow_runs}


RUNNERS = {"HEALTH": HealthRunner}
METRICS = {"slow": SlowRequests}
