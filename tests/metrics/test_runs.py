from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from scipy.stats import theilslopes

from kfp_perf.metrics.phases import PhaseMetrics
from kfp_perf.metrics.runs import RunMetrics
from kfp_perf.metrics.schedule import ScheduleMetrics
from kfp_perf.result.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_perf.metrics import MetricFamily
    from kfp_perf.result.records import RunRecord

    Make = Callable[..., RunRecord]


def told(family: MetricFamily, records: list[RunRecord]) -> dict[str, Any]:
    for record in records:
        family.on_run(record)
    return family.result()


def unfinished(run: Make, due: float, seen: float) -> RunRecord:
    """A run that was last seen in flight `seen` seconds after its creation was answered."""
    record = run(due, outcome=Outcome.UNFINISHED, duration_seconds=None, seen_finished=None)
    return msgspec.structs.replace(record, seen_unfinished=record.ended + seen)


def test_outcomes_are_counted(run: Make) -> None:
    records = [
        *(run(float(place)) for place in range(6)),
        run(6.0, outcome=Outcome.FAILED),
        run(7.0, cached=True, took=2.0),
        unfinished(run, 8.0, 30.0),
        run(9.0, outcome=Outcome.REFUSED, run_id="", duration_seconds=None, seen_finished=None),
        run(9.5, outcome=Outcome.LOST, run_id="", sent=0.0, duration_seconds=None, seen_finished=None),
        run(9.7, outcome=Outcome.NEVER_STARTED, run_id="", sent=0.0, duration_seconds=None),
        run(9.8, outcome=Outcome.CUT_OFF, duration_seconds=None, seen_finished=None),
        run(-5.0, took=99.0, warmup=True),
        run(3.0, adopted=True),
    ]
    found = told(RunMetrics(), records)
    counts = {
        name: found[name]
        for name in ("due", "sent", "created", "adopted", "ended", "succeeded", "failed", "unfinished")
    }
    assert counts == {
        "due": 13,
        "sent": 12,
        "created": 11,
        "adopted": 1,
        "ended": 9,
        "succeeded": 8,
        "failed": 1,
        "unfinished": 1,
    }
    assert (found["refused"], found["lost"], found["never_started"]) == (1, 1, 1)
    assert (found["cut_off"], found["warmup"]) == (1, 1)
    assert found["due"] == sum(
        found[name] for name in ("succeeded", "failed", "refused", "lost", "unfinished", "never_started")
    )
    assert found["success_rate"] == 8 / 13
    assert found["duration_seconds"]["n"] == 8, (
        "the unfinished one ranks above the 7 that executed and succeeded"
    )
    assert found["duration_seconds"]["longest_answered"] == 10.0
    assert (found["visible_seconds"]["n"], found["visible_seconds"]["p50"]) == (13, 11.0)
    assert found["visible_seconds"]["not_reached"] == ["p90", "p95", "p99", "max"]
    assert found["failed_duration_seconds"]["n"] == 1
    assert found["cached_duration_seconds"] == {
        "n": 1,
        **dict.fromkeys(("p50", "p90", "p95", "p99", "max", "mean"), 2.0),
    }
    assert found["duration_error_seconds"] == 1.0
    # From when the first was due (0 s) to when the last success was seen (5 s + 10 s + 1 s).
    assert found["throughput_per_second"] == 8 / 16.0


def test_unfinished_runs_rank_above_all_that_ended(run: Make) -> None:
    records = [run(took=float(took)) for took in (1, 2, 3, 4, 5, 6, 7)]
    records += [unfinished(run, 0.0, 0.5) for _ in range(3)]
    duration = told(RunMetrics(), records)["duration_seconds"]
    assert (duration["n"], duration["p50"]) == (10, 5.0)
    assert [duration[name] for name in ("p90", "p95", "p99", "max")] == [None] * 4
    assert duration["not_reached"] == ["p90", "p95", "p99", "max"]
    assert (duration["longest_answered"], duration["mean"]) == (7.0, 4.0)


def test_failed_runs_are_visible_to_nobody_as_successes(run: Make) -> None:
    records = [run(took=float(took)) for took in range(1, 20)]
    records.append(run(outcome=Outcome.FAILED, took=0.1))
    found = told(RunMetrics(), records)
    assert found["visible_seconds"]["p95"] == 20.0
    assert found["visible_seconds"]["not_reached"] == ["p99", "max"]
    assert "not_reached" not in found["duration_seconds"], "it is of runs that succeeded"


def test_where_no_run_ended_nothing_is_reached(run: Make) -> None:
    found = told(RunMetrics(), [unfinished(run, 0.0, 60.0)])
    for key in ("visible_seconds", "duration_seconds"):
        assert found[key]["n"] == 1
        assert found[key]["not_reached"] == ["p50", "p90", "p95", "p99", "max"]
        assert found[key]["mean"] is found[key]["longest_answered"] is None
    assert found["success_rate"] == 0.0


def test_runs_that_were_cut_off_count_in_no_rate(run: Make) -> None:
    cut_off = run(outcome=Outcome.CUT_OFF, duration_seconds=None, seen_finished=None)
    found = told(RunMetrics(), [run(), cut_off])
    assert (found["due"], found["created"], found["cut_off"], found["success_rate"]) == (1, 2, 1, 1.0)
    assert found["visible_seconds"]["n"] == 1
    alone = told(RunMetrics(), [cut_off])
    assert (alone["due"], alone["success_rate"], alone["visible_seconds"]) == (0, None, {})


def test_durations_that_drift_are_noticed(run: Make) -> None:
    random = np.random.default_rng(2)
    dues = np.linspace(0.0, 4 * 3600.0, 120)
    durations = 30.0 + dues / 3600.0 + random.normal(0.0, 0.5, dues.size)
    records = [run(due, took) for due, took in zip(dues.tolist(), durations.tolist(), strict=True)]
    random.shuffle(records)
    trend = told(RunMetrics(), records)["duration_trend"]
    slope = theilslopes(durations, dues).slope
    assert trend["slope_per_hour"] == pytest.approx(slope * 3600.0)
    assert trend["change_seconds"] == pytest.approx(slope * 4 * 3600.0)
    assert trend["change_share"] == pytest.approx(slope * 4 * 3600.0 / np.median(durations))
    low, high = trend["intervals"]["change_share"]
    assert 0.0 < low < trend["change_share"] < high
    assert trend["drifts"] is True
    assert trend["p_value"] < 1e-6


def test_durations_that_do_not_drift_are_not(run: Make) -> None:
    random = np.random.default_rng(3)
    records = [run(60.0 * place, 30.0 + random.normal()) for place in range(120)]
    trend = told(RunMetrics(), records)["duration_trend"]
    assert trend["drifts"] is False
    low, high = trend["intervals"]["change_share"]
    assert low < 0.0 < high


def test_few_runs_have_no_trend(run: Make) -> None:
    assert told(RunMetrics(), [run(float(place)) for place in range(5)])["duration_trend"] is None


def test_different_pipelines_together_have_no_trend(run: Make) -> None:
    def family(took: float) -> RunMetrics:
        found = RunMetrics()
        told(found, [run(float(place), took + 0.01 * place) for place in range(30)])
        return found

    total = RunMetrics()
    total.merge(family(10.0))
    assert total.result()["duration_trend"] is not None
    total.merge(family(500.0))
    assert total.result()["duration_trend"] is None


def test_merging_is_as_if_one_had_seen_all(run: Make) -> None:
    first = [run(float(place), 5.0 + place) for place in range(10)]
    second = [run(40.0, outcome=Outcome.FAILED), unfinished(run, 41.0, 60.0), run(2.0, 1.0, warmup=True)]
    one, other = RunMetrics(), RunMetrics()
    told(one, first)
    told(other, second)
    one.merge(other)
    assert one.result() == told(RunMetrics(), first + second)


def test_no_run_at_all() -> None:
    found = RunMetrics().result()
    assert found["due"] == found["succeeded"] == 0
    assert found["success_rate"] is None
    assert found["duration_seconds"] == found["visible_seconds"] == {}


def test_phases_are_of_runs_that_succeeded_and_executed(run: Make) -> None:
    def phases(**seconds: float) -> dict[str, Any]:
        return {"phases": seconds, "phase_errors": dict.fromkeys(seconds, 1.0)}

    records = [
        run(**phases(queue=3.0, execute=20.0)),
        run(**phases(queue=5.0, execute=30.0)),
        run(**phases(queue=7.0)),
        run(outcome=Outcome.FAILED, **phases(queue=100.0)),
        run(cached=True, **phases(queue=100.0)),
        run(warmup=True, **phases(queue=100.0)),
    ]
    found = told(PhaseMetrics(), records)
    assert list(found) == ["submit", "queue", "execute"], "in order of time"
    assert found["submit"]["n"] == 2, "of all created runs; those that ended without it are not counted"
    assert (found["queue"]["n"], found["queue"]["p50"], found["queue"]["mean"]) == (3, 5.0, 5.0)
    assert (found["execute"]["n"], found["execute"]["max"]) == (2, 30.0)
    assert (found["queue"]["error_seconds"], found["queue"]["worst_error_seconds"]) == (1.0, 1.0)


def test_a_phase_below_its_error_has_a_mean_and_no_quantiles(run: Make) -> None:
    records = [run(phases={"queue": float(place % 2)}, phase_errors={"queue": 1.0}) for place in range(30)]
    queue = told(PhaseMetrics(), records)["queue"]
    assert set(queue) == {"n", "mean", "error_seconds", "worst_error_seconds"}
    assert queue["mean"] == 0.5


def test_negative_phases_are_kept(run: Make) -> None:
    records = [run(phases={"submit": value}, phase_errors={"submit": 0.001}) for value in (-1.0, 3.0)]
    family = PhaseMetrics()
    assert told(family, records)["submit"]["mean"] == 1.0
    other = PhaseMetrics()
    told(other, [run(phases={"submit": 4.0}, phase_errors={"submit": 0.5})])
    family.merge(other)
    assert family.result()["submit"]["mean"] == 2.0
    assert family.result()["submit"]["worst_error_seconds"] == 0.5


def test_schedules_are_compared_with_their_slots(run: Make) -> None:
    def slot(at: float, drift: float | None = 5.0, **fields: Any) -> RunRecord:
        return run(at, recurring_run_id="r", slot=at, drift_seconds=drift, drift_error_seconds=0.5, **fields)

    records = [
        slot(0.0),
        slot(60.0, 25.0),
        slot(120.0, None, run_id="", outcome=Outcome.REFUSED),
        slot(60.0, 30.0, doubled=True),
        run(70.0, recurring_run_id="r"),
        slot(-60.0, 999.0, warmup=True),
        run(5.0),
    ]
    found = told(ScheduleMetrics(), records)
    assert {name: found[name] for name in ("slots", "started", "missed", "doubled", "unscheduled")} == {
        "slots": 3,
        "started": 2,
        "missed": 1,
        "doubled": 1,
        "unscheduled": 1,
    }
    assert found["missed_rate"] == 1 / 3
    assert (found["drift_seconds"]["n"], found["drift_seconds"]["max"]) == (2, 25.0)
    assert found["drift_error_seconds"] == 0.5
    assert told(ScheduleMetrics(), [run()]) == {}


def test_runs_without_a_good_end_are_grouped_by_what_was_said(run: Make) -> None:
    family, other = RunMetrics(), RunMetrics()
    for place in range(3):
        family.on_run(run(outcome=Outcome.FAILED, error="FAILED: task train failed", name=f"r{place}"))
    other.on_run(run(outcome=Outcome.FAILED, error="FAILED: task train failed"))
    other.on_run(run(outcome=Outcome.REFUSED, run_id="", error="CreateRun failed: no\n    hint"))
    other.on_run(run(outcome=Outcome.FAILED, error="of the warm-up", warmup=True))
    other.on_run(run())
    family.merge(other)
    assert family.result()["errors_by_message"] == [
        {"kind": "failed", "message": "FAILED: task train failed", "count": 4},
        {"kind": "refused", "message": "CreateRun failed: no", "count": 1},
    ]
