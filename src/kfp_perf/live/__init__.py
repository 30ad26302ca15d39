"""The display of a running test. A separate process draws it, so the load never waits for it."""

from kfp_perf.live.feed import Display, open_display
from kfp_perf.live.snapshot import ScenarioState, Snapshot

__all__ = ["Display", "ScenarioState", "Snapshot", "open_display"]
