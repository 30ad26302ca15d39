"""The objects that the clean-up left on the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from kfp_perf.metrics.collector import MetricFamily
from kfp_perf.metrics.metric import Metric, Unit

if TYPE_CHECKING:
    from kfp_perf.result.scenario_writer import ScenarioInfo


class CleanupMetrics(MetricFamily):
    """Objects that could not be deleted. Those that were kept on purpose do not count."""

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "cleanup.left",
            Unit.COUNT,
            "Objects that the test made and could not delete.",
            "the clean-up",
            ("cleanup", "left"),
        ),
    )

    def __init__(self) -> None:
        self._left = 0
        self._over = False
        self._failed = False

    def on_info(self, info: ScenarioInfo) -> None:
        """Count the objects that are left."""
        self._over = info.ended
        self._left = len(info.leftovers)
        self._failed = info.cleanup_failed

    def merge(self, other: Self) -> None:
        """Add what another scenario left."""
        self._left += other._left
        self._over = self._over or other._over
        self._failed = self._failed or other._failed

    def result(self) -> dict[str, Any]:
        """`left`, at least as many where the clean-up of a scenario failed; empty where nothing is known."""
        unknown = self._failed and not self._left
        return {"left": self._left} if self._over and not unknown else {}
