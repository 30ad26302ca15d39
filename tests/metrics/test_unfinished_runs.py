"""Durations where some runs have no end: what is a quantile of all runs, and where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from kfp_perf.metrics.phases import PhaseMetrics
from kfp_perf.metrics.runs import RunMetrics
from kfp_perf.result.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_perf.result.records import RunRecord

    Make = Callable[..., RunRecord]


def without_end(run: Make, outcome: Outcome, followed: float) -> RunRecord:
    record = run(outcome=outcome, duration_seconds=None, seen_finished=None)
    return msgspec.structs.replace(record, seen_unfinished=record.ended + followed)


def family(run: Make, *, fell_behind: bool = False, **without: float) -> RunMetrics:
    """Ten runs of 1 to 10 s, and five of each outcome in `without`, followed for so long."""
    found = RunMetrics()
    found.on_backlog(fell_behind=fell_behind)
    for took in range(1, 11):
        found.on_run(run(took=float(took)))
    for outcome, followed in without.items():
        for _ in range(5):
            found.on_run(without_end(run, Outcome(outcome), followed))
    return found


def duration(found: RunMetrics) -> tuple[str, dict[str, Any]]:
    result = found.result()
    return result["unfinished_runs"], result["duration_seconds"]


def test_a_load_that_fell_behind_has_durations_where_all_runs_ended(run: Make) -> None:
    how, found = duration(family(run, fell_behind=True))
    assert (how, found["n"], found["p50"], found["max"]) == ("none", 10, 5.0, 10.0)


def test_runs_followed_for_the_whole_grace_period_rank_above_all(run: Make) -> None:
    how, found = duration(family(run, unfinished=2.0))
    assert (how, found["n"], found["p50"]) == ("rank_last", 15, 8.0)
    assert found["not_reached"] == ["p90", "p95", "p99", "max"]


def test_runs_cut_off_by_the_user_are_censored(run: Make) -> None:
    how, found = duration(family(run, cut_off=0.5))
    assert (how, found["n"], found["p50"], found["max"]) == ("censored", 15, 5.0, 10.0), (
        "they were followed for less than any run takes, so they say nothing"
    )
    how, found = duration(family(run, cut_off=20.0))
    assert (found["p50"], found["mean"]) == (8.0, None)
    assert found["not_reached"] == ["p90", "p95", "p99", "max"]


@pytest.mark.parametrize("outcome", ["unfinished", "cut_off"])
def test_where_the_load_fell_behind_those_that_ended_are_no_sample(run: Make, outcome: str) -> None:
    found = family(run, fell_behind=True, **{outcome: 20.0})
    how, values = duration(found)
    assert (how, values["n"], values["longest_answered"]) == ("excluded", 10, 10.0)
    assert {values[name] for name in ("p50", "p90", "p95", "p99", "max", "mean")} == {None}
    assert "not_reached" not in values
    assert found.result()["duration_trend"] is None


def test_the_strictest_treatment_of_the_scenarios_holds_for_the_whole_test(run: Make) -> None:
    for first, second, expected in (
        (family(run, cut_off=20.0), family(run, unfinished=20.0), "rank_last"),
        (family(run, fell_behind=True, unfinished=20.0), family(run), "excluded"),
        (family(run, fell_behind=True), family(run, unfinished=20.0), "rank_last"),
        (family(run), family(run), "none"),
    ):
        total = RunMetrics()
        total.merge(first)
        total.merge(second)
        assert duration(total)[0] == expected


def test_submit_is_of_all_created_runs(run: Make) -> None:
    """As in an overload: few runs succeeded, and CreateRun took long for all the others."""
    found = PhaseMetrics()
    phases = {"phases": {"submit": 0.1, "execute": 5.0}, "phase_errors": {"submit": 0.05, "execute": 1.0}}
    found.on_run(run(**phases))
    for _ in range(3):
        late = without_end(run, Outcome.UNFINISHED, 30.0)
        found.on_run(msgspec.structs.replace(late, ended=late.sent + 20.0))
    found.on_run(run(warmup=True, **phases))
    found.on_run(run(outcome=Outcome.REFUSED, run_id=""))
    submit = found.result()["submit"]
    assert (submit["n"], submit["mean"], submit["error_seconds"]) == (
        4,
        (0.1 + 3 * 10.0) / 4,
        (0.05 + 30.0) / 4,
    )
    assert submit["of_succeeded"] == {"n": 1, "mean": 0.1, "error_seconds": 0.05}
    assert found.result()["execute"]["n"] == 1
    other = PhaseMetrics()
    other.merge(found)
    assert other.result() == found.result()
