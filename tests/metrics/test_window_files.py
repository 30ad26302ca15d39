"""The worst window of a test, from the files that it leaves; killed ones too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from kfp_perf.metrics.registry import built_in
from kfp_perf.metrics.window_files import WindowValue, worst_window
from kfp_perf.metrics.windowed import windowed
from kfp_perf.result.counters import ScenarioCounters
from kfp_perf.result.records import CallOutcome, Outcome
from kfp_perf.result.scenario_writer import ScenarioWriter

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_perf.result.reader import ScenarioFiles
    from kfp_perf.result.records import RunRecord, Sample

    Files = Callable[..., ScenarioFiles]

T0 = 1_790_000_000.0
#: A load of 120 s that ended as planned.
WHOLE: dict[str, Any] = {
    "start_at": T0,
    "end_at": T0 + 120.0,
    "finished": T0 + 180.0,
    "open_load": True,
    "measured": True,
}


def worst(
    name: str, seconds: float, comparison: str, bound: float, *files: ScenarioFiles
) -> WindowValue | None:
    metric = built_in().find(name)
    assert metric is not None
    how = windowed(metric)
    assert how is not None
    return worst_window(files, how, seconds, comparison, bound)


def test_the_window_of_a_slow_minute_is_found(files: Files, run: Callable[..., RunRecord]) -> None:
    # A run a second; those due from 60 s to 80 s take 40 s in place of 10.
    runs = [run(float(due), 39.0 if 60 <= due < 80 else 9.0) for due in range(120)]
    one = files(runs=runs, **WHOLE)
    found = worst("run.visible.p90", 20.0, "<", 30.0, one)
    assert found is not None
    assert found.value == pytest.approx(40.0, rel=0.002)
    # A tenth of the twenty runs may be slow, and the first window with a third slow one is the worst already.
    assert (found.begin - T0, found.end - T0, found.operations) == (43.0, 63.0, 20)


def test_exactly_at_the_bound(files: Files, run: Callable[..., RunRecord]) -> None:
    runs = [run(float(due), 9.0) for due in range(120)]
    one = files(runs=runs, **WHOLE)
    below, above = (worst("run.visible.p50", 10.0, "<", bound, one) for bound in (10.001, 9.999))
    assert below is not None
    assert above is not None
    assert (below.value or 0.0) < 10.001
    assert (above.value or 0.0) > 9.999


def test_runs_that_did_not_succeed_rank_above_all(files: Files, run: Callable[..., RunRecord]) -> None:
    runs = [
        run(float(due), outcome=Outcome.REFUSED if 30 <= due < 40 else Outcome.SUCCEEDED)
        for due in range(120)
    ]
    one = files(runs=runs, **WHOLE)
    visible = worst("run.visible.p95", 40.0, "<", 60.0, one)
    assert visible is not None
    assert visible.value is None
    rate = worst("run.success_rate", 20.0, ">=", 0.9, one)
    assert rate is not None
    assert (rate.value, rate.operations, rate.begin - T0) == (0.5, 20, 20.0)


def test_runs_that_were_cut_off_count_as_longer_than_they_waited(
    files: Files, run: Callable[..., RunRecord]
) -> None:
    stopped = {**WHOLE, "stopped_at": T0 + 100.0}
    runs = [
        run(float(due), outcome=Outcome.CUT_OFF, seen_finished=None) if due >= 40 else run(float(due))
        for due in range(100)
    ]
    one = files(runs=runs, **stopped)
    found = worst("run.visible.p50", 10.0, "<", 30.0, one)
    assert found is not None
    assert found.value == pytest.approx(100.0 - 46.0, rel=0.02)
    rate = worst("run.success_rate", 10.0, ">=", 0.9, one)
    assert rate is not None
    assert rate.value == 1.0, "it is not known that they failed"


def test_the_rest_of_a_warm_up_is_in_no_window(files: Files, run: Callable[..., RunRecord]) -> None:
    runs = [run(float(due), 99.0 if due < 30 else 9.0, warmup=due < 30) for due in range(120)]
    found = worst("run.visible.p50", 20.0, "<", 30.0, files(runs=runs, measured_from=T0 + 30.0, **WHOLE))
    assert found is not None
    assert found.value == pytest.approx(10.0, rel=0.002)


def test_there_is_none_where_no_window_has_enough_runs(files: Files, run: Callable[..., RunRecord]) -> None:
    runs = [run(float(due)) for due in range(0, 120, 2)]
    one = files(runs=runs, **WHOLE)
    assert worst("run.visible.p95", 30.0, "<", 60.0, one) is None
    assert worst("run.visible.p90", 30.0, "<", 60.0, one) is not None
    assert worst("run.visible.p50", 121.0, "<", 60.0, one) is None
    assert worst("run.visible.p50", 10.0, "<", 60.0, files(name="empty")) is None


def test_throughput_counts_ends_and_none_is_a_rate_too(files: Files, run: Callable[..., RunRecord]) -> None:
    runs = [run(float(due), 9.0 if due < 50 else 59.0) for due in range(120)]
    found = worst("run.throughput", 20.0, ">=", 0.5, files(runs=runs, **WHOLE))
    assert found is not None
    # The first is seen after 10 s, those due up to 50 s until 60 s, and none from then to 110 s.
    assert (found.value, found.operations, found.begin - T0) == (0.0, 0, 60.0)


def test_throughput_counts_runs_of_the_warm_up_that_end_after_it(
    files: Files, run: Callable[..., RunRecord]
) -> None:
    """A server that completes one a second all the time is not idle just after the warm-up."""
    runs = [run(float(due), 29.0, warmup=due < 40) for due in range(120)]
    found = worst("run.throughput", 20.0, ">=", 0.5, files(runs=runs, measured_from=T0 + 40.0, **WHOLE))
    assert found is not None
    assert found.value == pytest.approx(1.0, abs=0.06)


def test_operations_are_placed_by_when_they_were_due(files: Files, sample: Callable[..., Sample]) -> None:
    samples = [sample(0.1 * due, 20.0 if 300 <= due < 400 else 0.1) for due in range(1200)]
    one = files(samples=samples, **WHOLE)
    found = worst("api.GetRun.latency.p99", 10.0, "<", 1.0, one)
    assert found is not None
    assert found.value == pytest.approx(20.0, rel=0.01)
    assert found.end - T0 == pytest.approx(31.0, abs=1.0), "due from 30 s on, ended from 50 s on"
    rate = worst("api.GetRun.rate", 10.0, ">=", 9.0, one)
    assert rate is not None
    assert rate.value == pytest.approx(0.0, abs=0.11)
    assert worst("api.ListRuns.latency.p50", 10.0, "<", 1.0, one) is None
    lateness = worst("generator.lateness.p99", 10.0, "<", 1.0, one)
    assert lateness is not None
    assert lateness.value == pytest.approx(0.0, abs=0.001)


def test_failed_operations_and_those_that_never_started(files: Files, sample: Callable[..., Sample]) -> None:
    samples = [
        sample(0.1 * due, outcome=CallOutcome.FAILED if 300 <= due < 400 else CallOutcome.ANSWERED)
        for due in range(1000)
    ]
    samples += [
        sample(100.0 + 0.1 * due, 20.0 - 0.1 * due, outcome=CallOutcome.NEVER_STARTED) for due in range(200)
    ]
    one = files(samples=samples, **WHOLE)
    found = worst("api.GetRun.error_rate", 20.0, "<=", 0.01, one)
    assert found is not None
    assert found.value == pytest.approx(1.0, abs=0.01), "all that was due from 100 s on"
    assert found.operations == pytest.approx(200, abs=12)
    earlier = files(samples=samples[:1000], name="t", **WHOLE)
    found = worst("api.GetRun.error_rate", 20.0, "<=", 0.01, earlier)
    assert found is not None
    assert found.value == pytest.approx(0.5, abs=0.02)


def test_lag_is_the_mean_of_its_window(files: Files, run: Callable[..., RunRecord]) -> None:
    # Two runs a second are due, and one leaves: the lag grows by half a second a second.
    runs = [run(0.5 * due, 0.5 * due + 1.0) for due in range(240)]
    found = worst("load.lag", 20.0, "<", 10.0, files(runs=runs, **WHOLE))
    assert found is not None
    assert found.end - T0 == 120.0
    assert found.value == pytest.approx(55.0, abs=2.0)


def test_several_scenarios_are_one_test(files: Files, run: Callable[..., RunRecord]) -> None:
    good = files(runs=[run(float(due)) for due in range(120)], name="good", **WHOLE)
    bad = files(
        runs=[run(due + 0.5, outcome=Outcome.FAILED) for due in range(120)],
        name="bad",
        **{**WHOLE, "start_at": T0 + 60.0},
    )
    found = worst("run.success_rate", 60.0, ">=", 0.9, good, bad)
    assert found is not None
    assert found.value == 0.5


def test_a_test_that_was_killed_counts_the_runs_in_flight(
    files: Files, run: Callable[..., RunRecord]
) -> None:
    """From 40 s on nothing ends; at 100 s the test is killed, with 60 runs in flight, which have no record."""
    killed = files(
        runs=[run(float(due)) for due in range(40)], **{**WHOLE, "measured": False, "finished": 0.0}
    )
    writer = ScenarioWriter(killed.folder, T0)
    for second in range(1, 101):
        writer.state(ScenarioCounters(scenario="s", at=T0 + second, due=second), {})
    writer.close()
    found = worst("run.visible.p50", 10.0, "<", 30.0, killed)
    assert found is not None
    assert found.value == pytest.approx(100.0 - 46.0, abs=2.0)
    assert found.begin - T0 == pytest.approx(35.0, abs=1.0)
    rate = worst("run.success_rate", 10.0, ">=", 0.9, killed)
    assert rate is not None
    assert rate.value == 1.0
    assert msgspec.json.encode(found), "plain values"
