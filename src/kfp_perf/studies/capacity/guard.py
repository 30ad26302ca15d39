"""The cliff guard: it ends a plateau as soon as it is certain that it does not hold.

Past its limit KFP completes less and less, and the backlog has to drain before the next plateau.
"""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING

import numpy as np

from kfp_perf.statistics.backlog import SLICES, Flow
from kfp_perf.studies.capacity.plateau import GROWTH_BOUND, RAMP_GROWTH_BOUND, Part, growth_of

if TYPE_CHECKING:
    from kfp_perf.studies.capacity.plateau import PlannedPlateau

FEWEST_SECONDS = float(SLICES)
"""How much of the measured time must have passed: the growth is judged in slices of at least a second."""

NOT_KEEPING_UP = "the backlog grows: it is certain that this load does not hold"
TOO_MANY_FAILURES = "too many operations failed: it is certain that a threshold is not kept"


class CliffGuard:
    """Judges the counters of a plateau while it runs; called at rising times, in order.

    Two conditions must hold: the backlog that has built up since the system filled is as large as that of a
    plateau that fails at its end, and larger than chance makes it; and its growth so far exceeds the bound and
    two standard errors. Looked at alone, growth would exceed the bound by chance in one of many looks.
    `most_failures` is how many failures no threshold allows.
    """

    def __init__(self, step: PlannedPlateau, most_failures: float = math.inf) -> None:
        self._step = step
        self._bound = GROWTH_BOUND if step.part is Part.PLATEAU else RAMP_GROWTH_BOUND
        self._fatal = max(self._bound * step.rate * step.measured_seconds, step.fluctuation, 1.0)
        self._most_failures = most_failures
        self._due = array("d")
        self._left = array("d")

    def look(self, elapsed: float, due: int, left: int, failed: int = 0) -> str:
        """The reason to end the plateau; empty where it goes on. `left` are operations that ended, however."""
        if failed > self._most_failures:
            return TOO_MANY_FAILURES
        seconds = int(elapsed) - len(self._due)
        if seconds <= 0 or self._step.part is Part.LIGHT:
            return ""
        # Counts of seconds in which nobody looked are those of the next look.
        self._due.extend([due] * seconds)
        self._left.extend([left] * seconds)
        filled = math.ceil(self._step.fill_seconds)
        if len(self._due) < filled + max(FEWEST_SECONDS, self._step.typical_seconds / 2.0):
            return ""
        backlog = np.frombuffer(self._due) - np.frombuffer(self._left)
        if backlog[-1] - backlog[max(0, filled - 1)] < self._fatal:
            return ""
        flow = Flow(0.0, np.array(self._due), np.array(self._left))
        growth = growth_of(flow, self._step, float(len(self._due)))
        return NOT_KEEPING_UP if growth is not None and growth.exceeds(self._bound) else ""
