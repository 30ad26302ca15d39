"""Following runs: when they ended, how long they took and in which phases, and how sure that is."""

from kfp_perf.observe.observer import Observer
from kfp_perf.observe.report import ObserverReport

__all__ = ["Observer", "ObserverReport"]
