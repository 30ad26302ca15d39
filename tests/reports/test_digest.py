from __future__ import annotations

from typing import Any

from kfp_perf.reports.digest import MOST_SLOWEST, digest
from kfp_perf.result.records import Outcome, RunRecord


def run(place: int, **fields: Any) -> RunRecord:
    given: dict[str, Any] = {
        "scenario": "a",
        "name": f"run-{place}",
        "run_id": f"id-{place}",
        "due": 100.0 + place,
        "ended": 100.1 + place,
        "outcome": Outcome.SUCCEEDED,
        "seen_finished": 110.0 + place,
        "duration_seconds": float(place),
        **fields,
    }
    return RunRecord(**given)


def test_runs_are_told_apart_by_how_they_ended() -> None:
    taken = digest(
        [
            run(5),
            run(6, cached=True),
            run(7, outcome=Outcome.FAILED, error="boom"),
            run(
                8,
                outcome=Outcome.UNFINISHED,
                duration_seconds=None,
                seen_finished=None,
                seen_unfinished=150.1,
            ),
            run(
                9,
                outcome=Outcome.REFUSED,
                run_id="",
                duration_seconds=None,
                seen_finished=None,
                error="no",
            ),
            run(10, warmup=True),
        ]
    )
    scenario = taken.scenarios["a"]
    assert list(scenario.durations) == [5.0]
    assert [round(seconds, 6) for seconds in scenario.unfinished] == [42.0]
    assert [seconds for _, seconds in scenario.cached] == [6.0]
    assert [seconds for _, seconds in scenario.failed] == [7.0]
    assert len(taken.created) == 5
    assert len(taken.over) == 4
    assert taken.latest == 150.1


def test_the_slowest_come_first_and_count_what_had_not_ended() -> None:
    unfinished = run(
        1, outcome=Outcome.UNFINISHED, duration_seconds=None, seen_finished=None, seen_unfinished=900.0
    )
    taken = digest([*(run(place) for place in range(50)), unfinished])
    assert len(taken.slowest) == MOST_SLOWEST
    assert taken.slowest[0][1] is unfinished
    assert [seconds for seconds, _ in taken.slowest[1:4]] == [49.0, 48.0, 47.0]


def test_drifts_are_of_the_first_run_of_each_slot() -> None:
    taken = digest(
        [
            run(1, recurring_run_id="r", slot=100.0, drift_seconds=4.0),
            run(2, recurring_run_id="r", slot=100.0, drift_seconds=9.0, doubled=True),
            run(3, recurring_run_id="r", slot=None),
        ]
    )
    assert taken.drifts == [(100.0, 4.0)]
