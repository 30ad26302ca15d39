"""The live median from due to visible success counts all runs that were due until now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kfp_perf.execution.snapshots import _median_of, _runs_due
from kfp_perf.result.coarse_histogram import CoarseHistogram, coarse_counts
from kfp_perf.result.counters import ScenarioCounters

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def counted(*seconds: float) -> NDArray[np.uint64]:
    found = CoarseHistogram()
    for one in seconds:
        found.record(one)
    return coarse_counts(bytes(found.counts))


def test_runs_due_are_those_over_in_flight_and_held_back() -> None:
    runs = ScenarioCounters(
        scenario="a", due=20, started=15, in_flight=5, outcomes={"succeeded": 8, "failed": 2}, never_started=1
    )
    assert _runs_due(runs) == 10 + 5 + 4
    assert _runs_due(ScenarioCounters(scenario="reads", due=900, started=900, in_flight=3)) == 0


def test_what_has_not_succeeded_ranks_above_all_that_has() -> None:
    succeeded = counted(*[10.0] * 5, *[20.0] * 5)
    assert _median_of(succeeded, 10) == pytest.approx(10.0, rel=0.2)
    assert _median_of(succeeded, 14) == pytest.approx(20.0, rel=0.2), "the seventh of ten"
    assert _median_of(succeeded, 21) is None
    assert _median_of(counted(), 5) is None
