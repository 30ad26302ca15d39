"""The load and whether the server kept up with it, where the test was ended early."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.metrics.figures import figures_of
from kfp_perf.result.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_perf.result.reader import ScenarioFiles
    from kfp_perf.result.records import RunRecord, Sample

T0 = 1_790_000_000.0
#: A run a second for 120 s of a load of 600 s, each visible after 11 s.
STOPPED = 120.0
PLANNED: dict[str, Any] = {
    "start_at": T0,
    "end_at": T0 + 600.0,
    "finished": T0 + 121.0,
    "open_load": True,
    "measured": True,
}


@pytest.mark.parametrize(("stopped_at", "behind"), [(T0 + STOPPED, 0), (0.0, 1)])
def test_runs_cut_off_by_an_early_stop_are_no_backlog(
    files: Callable[..., ScenarioFiles], run: Callable[..., RunRecord], stopped_at: float, behind: int
) -> None:
    runs = [
        run(due, name=f"r{due}")
        if due + 11.0 <= STOPPED
        else run(due, name=f"r{due}", outcome=Outcome.CUT_OFF, seen_finished=None, duration_seconds=None)
        for due in range(int(STOPPED))
    ]
    found = figures_of([files(runs=runs, stopped_at=stopped_at, **PLANNED)]).of("s")
    assert found["load"]["fell_behind"] == behind


def test_rates_are_over_the_load_until_it_was_stopped(
    files: Callable[..., ScenarioFiles], sample: Callable[..., Sample]
) -> None:
    samples = [sample(float(due)) for due in range(int(STOPPED))]
    found = figures_of([files(samples=samples, stopped_at=T0 + STOPPED, **PLANNED)]).of("s")
    assert found["api"]["load"]["GetRun"]["rate_per_second"] == pytest.approx(1.0)
