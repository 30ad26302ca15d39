"""What the controllers have done, as their own metrics count it: queues, workers, requests, phases."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from kfp_emulator.protocol.exposition import Histogram


@dataclass(slots=True)
class ControllerStats:
    """What the workflow controller has done since its last start; bounds are those of Argo's own histograms."""

    adds: int = 0
    """Workflows put into the queue of those to be looked at."""
    waited: Histogram = field(default_factory=lambda: Histogram(1, 5, 20, 60, 180))
    """How long they waited there."""
    looked: Histogram = field(default_factory=lambda: Histogram(0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 180))
    """How long a worker was busy with one, its requests included."""
    operated: Histogram = field(default_factory=lambda: Histogram(5, 10, 15, 20, 25, 30))
    """The same, in the bounds of another metric."""
    requests: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    """Requests to Kubernetes: kind, verb and status."""
    throttled: Histogram = field(default_factory=lambda: Histogram(0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 180))
    """How long they waited for the client's throttle."""
    workflows: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Workflows that entered a phase: namespace and phase."""
    pods: Counter[tuple[str, str]] = field(default_factory=Counter)
    """The same of pods."""
    missing: int = 0
    """Pods that a look found missing."""

    def sent(self, kind: str, verb: str, status: int, wait: int) -> None:
        """Count a request that waited so many microseconds for the throttle."""
        self.requests[kind, verb, status] += 1
        self.throttled.observe(wait and wait / 1e6)

    def looked_at(self, seconds: float) -> None:
        """Count how long a look took."""
        self.looked.observe(seconds)
        self.operated.observe(seconds)

    def reset(self) -> None:
        """Count from zero again, as a process that was started again."""
        fresh = ControllerStats()
        for name in self.__slots__:
            setattr(self, name, getattr(fresh, name))


@dataclass(slots=True)
class ScheduleStats:
    """What the scheduled-workflow controller has done since its last start."""

    looks: int = 0
    took: Histogram = field(
        default_factory=lambda: Histogram(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
    )

    def looked(self, seconds: float) -> None:
        """Count a look at a schedule."""
        self.looks += 1
        self.took.observe(seconds)

    def reset(self) -> None:
        """Count from zero again."""
        self.looks = 0
        self.took = ScheduleStats().took
