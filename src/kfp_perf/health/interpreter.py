"""Settings of the interpreter for as long as a load is generated: what would make requests late, does so less."""

from __future__ import annotations

import gc
import sys
from typing import Self

#: How long a Python thread keeps the others waiting. Beside one that computes, starts were 13 ms late (p99) at
#: Python's own 5 ms, and 0.3 ms at this.
SWITCH_INTERVAL_SECONDS = 1e-4
#: Thresholds of the garbage collector's generations: Python's default of 700 makes many short pauses.
COLLECTION_THRESHOLDS = (50_000, 20, 100)


class QuietInterpreter:
    """Switches threads often, and exempts objects that exist already from garbage collection.

    A full collection stops all threads while it visits every object, modules and their code included: about
    100 ms. The objects that exist at the start live to the end, so they need not be visited again.
    """

    def __enter__(self) -> Self:
        self._interval, self._thresholds = sys.getswitchinterval(), gc.get_threshold()
        sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
        gc.collect()
        gc.freeze()
        gc.set_threshold(*COLLECTION_THRESHOLDS)
        return self

    def __exit__(self, *_: object) -> None:
        gc.set_threshold(*self._thresholds)
        gc.unfreeze()
        sys.setswitchinterval(self._interval)
