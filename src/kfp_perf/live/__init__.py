"""What is seen while a test runs. The load never waits for it: it is drawn by a process of its own."""

from kfp_perf.live.feed import Display, open_display
from kfp_perf.live.snapshot import ScenarioState, Snapshot

__all__ = ["Display", "ScenarioState", "Snapshot", "open_display"]
