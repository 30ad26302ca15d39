"""Times that contradict each other, and phases below zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.client.messages import format_time
from kfp_perf.observe.phases import PHASES, clamped
from kfp_perf.observe.times import TimeSpan
from kfp_perf.pipelines.shape import Dag, TaskKind, TaskShape
from kfp_perf.result.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    World = Any
    Observe = Callable[..., Any]

DAG = Dag({"train": TaskShape("train", TaskKind.CONTAINER, frozenset())})


def tasks(world: World, run_seconds: float, controller_ahead: float) -> list[dict[str, Any]]:
    """The final tasks of a run that is created now, by a controller whose clock is ahead of the API server's."""
    begin = world.clock.now() + controller_ahead
    times = {
        "root-driver": (1.0, 2.0),
        "root": (2.0, run_seconds),
        "train-driver": (2.0, 3.0),
        "train": (3.0, run_seconds),
        "executor": (3.0, run_seconds),
    }
    return [
        {
            "display_name": name,
            "state": "SUCCEEDED",
            "start_time": format_time(begin + start),
            "end_time": format_time(begin + end),
        }
        for name, (start, end) in times.items()
    ]


@pytest.mark.parametrize(
    ("ahead", "conflict"),
    [
        (-20.0, "finished_before_created"),
        (-5.0, "started_before_created"),
        (0.0, ""),
        (3.0, "finished_in_the_future"),
        (63 * 365 * 86400.0, "longer_than_followed"),
    ],
)
def test_a_controller_with_another_clock_gives_no_duration(
    observe: Observe, ahead: float, conflict: str
) -> None:
    async def scene(world: World) -> Any:
        details = tasks(world, 10.0, ahead)
        end = format_time(world.clock.now() + 10.0 + ahead)
        await (await world.start(task_details=details, finished_text=end))
        await world.observer.aclose()
        return world.records[0], world.observer.report()

    record, report = observe(scene, {"shape": DAG}, run_seconds=9.0)
    assert record.clock_conflict == conflict
    assert record.outcome is Outcome.SUCCEEDED
    if conflict:
        assert (report.clock_conflicts, report.anomalies) == (1, {conflict: 1})
        assert (record.duration_seconds, record.duration_error_seconds) == (None, None)
        # What one clock alone tells is not affected.
        assert record.phases.keys() == record.phase_errors.keys() == PHASES.keys() - {"queue", "visible"}
        assert record.phases["execute"] == pytest.approx(7.0, abs=1.0)
    else:
        assert (report.clock_conflicts, report.anomalies) == (0, {})
        assert record.duration_seconds == pytest.approx(10.0, abs=1.0)
        assert record.phases.keys() == PHASES.keys()


def test_phases_below_zero_are_stated_as_zero_with_their_error() -> None:
    assert clamped({"queue": TimeSpan(-0.4, 0.6), "driver": TimeSpan(2.0, 1.0)}) == {
        "queue": TimeSpan(0.0, 0.6),
        "driver": TimeSpan(2.0, 1.0),
    }
