"""Settings of the interpreter for as long as a load is generated: what would make requests late, does so less."""

from __future__ import annotations

import gc
import sys
from typing import Self

#: How long a Python thread keeps the others waiting. Beside one that computes, starts were 13 ms late (p99) at
#: Python's own 5 ms, and 0.3 ms at this.
SWITCH_INTERVAL_SECONDS = 1e-4
#: After so many new objects the youngest are looked at, and so on: Python's own 700 make many short pauses.
COLLECTION_THRESHOLDS = (50_000, 20, 100)


class QuietInterpreter:
    """Threads take turns quickly, and the garbage collector stays away from what was there before.

    A full collection stops all threads for as long as it takes to look at every object, modules and their code
    included: some 100 ms. What exists at the start stays to the end, so it need not be looked at again.
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
