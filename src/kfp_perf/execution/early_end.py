"""Ends a test before its time: for a reason of the caller's, or a threshold that is not kept."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from kfp_perf.execution.threshold_watch import ThresholdWatch
from kfp_perf.reports.quantities import clock_of
from kfp_perf.result.counters import ScenarioCounters, ScenarioPhase

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kfp_perf.live.snapshot import ThresholdState
    from kfp_perf.plan import Plan

log = logging.getLogger(__name__)

MEASURED = frozenset({ScenarioPhase.CLEANING, ScenarioPhase.ENDED})
"""The phases of a scenario that measures no more."""

#: Called with the counters of each scenario and the seconds since the common start, four times a second from then
#: until every scenario has measured. A text that it returns ends the test in good order, with the clean-up and the
#: report, and is the reason for that in `health.json` and the result; it is not called again. `TestInterrupted`
#: ends it as Ctrl-C does, any other exception in good order, as failed.
StopWhen = Callable[[Mapping[str, ScenarioCounters], float], str | None]


class EarlyEnd:
    """Decides whether a test ends early: by `stop_when`, or by a threshold with `abortOnFail`.

    `document` then has the time and the reason, for the result.
    """

    def __init__(self, plan: Plan, stop_when: StopWhen | None) -> None:
        self.document: dict[str, Any] | None = None
        self._thresholds = ThresholdWatch(plan)
        self._stop_when = stop_when

    @property
    def threshold_states(self) -> Sequence[ThresholdState]:
        """What each threshold is so far."""
        return self._thresholds.states

    def look(
        self, counters: Mapping[str, ScenarioCounters], t0: float, now: float, *, stopping: bool
    ) -> bool:
        """Judge the thresholds so far; return whether the test is to end now.

        Only a test that still measures, and is not `stopping`, is ended. Raises what `stop_when` raises.
        """
        abort = self._thresholds.look(counters, t0, now)
        if stopping or all(one.phase in MEASURED for one in counters.values()):
            return False
        elapsed = now - t0
        reason = None if self._stop_when is None else self._stop_when(counters, elapsed)
        if reason is not None:
            self.document = {"at": now, "elapsed_seconds": elapsed, "reason": reason}
            log.info("Ending the test early: %s", reason)
            return True
        if abort is not None:
            self.document = {
                "at": now,
                "elapsed_seconds": elapsed,
                "reason": f"Aborted after {clock_of(elapsed)} min: {abort}.",
                "threshold": abort.document(),
            }
            log.error(
                "Aborting the test, as %s. Runs in flight are terminated, then the clean-up follows", abort
            )
            return True
        return False
