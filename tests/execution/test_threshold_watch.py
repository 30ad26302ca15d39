"""The thresholds of a running test: their states, and which of them ends it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.config import TestConfig
from kfp_perf.execution.threshold_watch import ThresholdWatch
from kfp_perf.plan import make_plan
from kfp_perf.result.counters import ScenarioCounters
from kfp_perf.result.records import Outcome, RunRecord
from kfp_perf.result.tally import Tally

if TYPE_CHECKING:
    from pathlib import Path

    from kfp_perf.execution.watched_threshold import Abort

T0 = 1_790_000_000.0


class Played:
    """A test of one scenario, whose runs the test ends."""

    __test__ = False

    def __init__(self, folder: Path, thresholds: dict[str, Any], **scenario: Any) -> None:
        whole: dict[str, Any] = {
            "name": "s",
            "mode": "PIPELINE_RUN",
            "runTime": "2m",
            "arrivalRate": "2/s",
            "pipelineFileName": "hello.yaml",
            "thresholds": thresholds,
        }
        (folder / "t.json").write_text(json.dumps([{**whole, **scenario}]))
        self.watch = ThresholdWatch(make_plan(folder / "t.json", TestConfig()))
        self.tally = Tally()
        self.due = 0

    def run(self, due: float, took: float, outcome: Outcome = Outcome.SUCCEEDED) -> None:
        at = T0 + due
        record = RunRecord(
            scenario="s", name="r", run_id="i", due=at, outcome=outcome, seen_finished=at + took
        )
        self.tally.on_run(record, at + took)

    def look(self, now: float, due: int) -> Abort | None:
        fields: dict[str, Any] = self.tally.fields()
        fields |= {"due": due, "started": due, "in_flight": due - sum(self.tally.outcomes.values())}
        return self.watch.look({"s": ScenarioCounters(scenario="s", at=T0 + now, **fields)}, T0, T0 + now)

    def states(self) -> dict[str, tuple[str, float | None]]:
        return {one.metric: (one.state, one.value) for one in self.watch.states}


def played(test: Played, seconds: int, took: float, failing_from: float = 1e9) -> list[tuple[int, Abort]]:
    """Two runs a second; return when what ended the test."""
    found = []
    for second in range(seconds):
        for place in range(2 * second):
            due = 0.5 * place
            if second - 1 < due + took <= second:
                test.run(due, took, Outcome.FAILED if due >= failing_from else Outcome.SUCCEEDED)
        if (abort := test.look(float(second), 2 * second)) is not None:
            found.append((second, abort))
    return found


def test_each_is_so_far_what_the_counters_say(tmp_path: Path) -> None:
    test = Played(
        tmp_path,
        {
            "run.visible.p50": "< 20s over 10s",
            "run.visible.p90": "< 5s",
            "run.success_rate": ">= 90%",
            "run.throughput": ">= 60/min over 10s",
            "run.failed": "== 0",
            "run.succeeded": ">= 1000",
            "run.duration.p95": "< 1m",
            "load.fell_behind": "== 0",
        },
    )
    assert {state for state, _ in test.states().values()} == {"too few", "at the end"}
    assert not played(test, 60, 10.0)
    states = test.states()
    for name, expected in (("run.visible.p50", "kept"), ("run.visible.p90", "not kept")):
        state, value = states[name]
        assert state == expected
        assert value == pytest.approx(10.0, rel=0.04)
    assert states["run.success_rate"] == ("kept", 1.0)
    assert states["run.throughput"][0] == "not kept", "nothing had ended in the first window"
    assert states["run.failed"] == ("kept", 0.0)
    assert states["run.succeeded"][0] == "too few", "it only grows"
    assert states["run.duration.p95"] == ("at the end", None)
    assert states["load.fell_behind"] == ("at the end", None)


def test_a_default_threshold_is_shown_where_it_is_not_kept(tmp_path: Path) -> None:
    test = Played(tmp_path, {})
    played(test, 20, 3.0)
    assert not test.states()
    played(Played(tmp_path, {"run.success_rate": None}), 20, 3.0, 5.0)
    test = Played(tmp_path, {})
    played(test, 30, 3.0, failing_from=10.0)
    (state,) = test.watch.states
    assert (state.metric, state.state, state.default) == ("run.success_rate", "not kept", True)


def test_the_first_window_that_is_not_kept_ends_the_test(tmp_path: Path) -> None:
    condition = {"condition": ">= 90% over 20s", "abortOnFail": True}
    test = Played(tmp_path, {"run.success_rate": condition})
    found = played(test, 60, 2.0, failing_from=30.0)
    second, abort = found[0]
    # More than a tenth of the forty runs of a window: those due from 30 s on, known from 32 s on.
    assert 34 <= second <= 37
    assert str(abort).startswith("s: run.success_rate was 8")
    assert abort.what.endswith("not >= 90% over 20s")
    assert abort.figure.window is not None
    begin, end = abort.figure.window
    assert end - begin == 20.0
    assert end == pytest.approx(32.0, abs=2.0)
    document = abort.document()
    assert document["where"].endswith('$[0].thresholds["run.success_rate"]')
    assert json.loads(json.dumps(document))["count"] == abort.figure.operations


def test_but_not_before_its_delay_is_over(tmp_path: Path) -> None:
    broken_at_first = {"run.failed": {"condition": "== 0", "abortOnFail": True, "delay": "40s"}}
    (second, _), *_ = played(Played(tmp_path, broken_at_first), 60, 2.0, failing_from=10.0)
    assert second == 40
    slow_start = {"run.throughput": {"condition": ">= 60/min over 10s", "abortOnFail": True, "delay": "30s"}}
    assert not played(Played(tmp_path, slow_start), 60, 15.0), "windows that end before it are not judged"


def test_a_share_of_few_runs_ends_nothing(tmp_path: Path) -> None:
    thresholds = {"run.success_rate": {"condition": ">= 90%", "abortOnFail": True}}
    (second, abort), *_ = played(Played(tmp_path, thresholds), 60, 2.0, failing_from=0.0)
    assert abort.figure.operations >= 20
    assert second == 10


def test_a_worse_window_of_few_runs_hides_no_other(tmp_path: Path) -> None:
    """At a run a second there are ten runs in a window, of which none may end the test; then there are more."""
    thresholds = {"run.success_rate": {"condition": ">= 90% over 10s", "abortOnFail": True}}
    test = Played(tmp_path, thresholds)
    due = 0
    for second in range(60):
        for _ in range(1 if second < 30 else 4):
            test.run(float(second), 0.5, Outcome.FAILED if second < 5 or due % 4 == 0 else Outcome.SUCCEEDED)
            due += 1
        if (abort := test.look(second + 1.0, due)) is not None:
            assert 30 < second < 40
            assert abort.figure.operations >= 20
            break
    else:
        pytest.fail("it was not ended")


def test_one_relative_to_a_baseline_is_judged_at_the_end(tmp_path: Path) -> None:
    test = Played(tmp_path, {"run.visible.p95": "<= baseline + 10%", "run.failed": "<= baseline + 2"})
    played(test, 30, 2.0)
    assert test.states() == dict.fromkeys(("run.visible.p95", "run.failed"), ("at the end", None))


def test_nothing_is_judged_before_the_common_start(tmp_path: Path) -> None:
    test = Played(tmp_path, {"run.failed": {"condition": "== 0", "abortOnFail": True}})
    test.run(0.0, 1.0, Outcome.FAILED)
    counters = ScenarioCounters(scenario="s", **test.tally.fields())  # type: ignore[arg-type]
    assert test.watch.look({"s": counters}, None, T0) is None


def test_runs_of_the_warm_up_do_not_count(tmp_path: Path) -> None:
    test = Played(tmp_path, {"run.failed": "== 0", "run.success_rate": ">= 99%"}, warmup="30s")
    for second in range(60):
        if second < 25:
            test.run(float(second), 1.0, Outcome.FAILED)
        else:
            test.run(float(second), 1.0)
        test.look(float(second), second)
    assert test.states()["run.failed"] == ("kept", 0.0)
    assert test.states()["run.success_rate"] == ("kept", 1.0)


def test_there_may_be_many(tmp_path: Path) -> None:
    conditions = [f"< {seconds}s over 10s" for seconds in range(100, 400)]
    test = Played(tmp_path, {"run.visible.p50": conditions})
    played(test, 60, 2.0)
    assert len(test.watch.states) == 50
    assert test.watch.states[0].state == "kept"


@pytest.mark.parametrize(
    ("metric", "condition"), [("run.success_rate", ">= 90%"), ("run.failed", "== 0"), ("run.ended", "<= 90")]
)
def test_runs_of_the_warm_up_that_end_after_it_end_no_test(
    tmp_path: Path, metric: str, condition: str
) -> None:
    """The verdict at the end leaves them out, too."""
    test = Played(tmp_path, {metric: {"condition": condition, "abortOnFail": True}}, warmup="20s")
    for second in range(75):
        for place in range(2 * second):
            due = 0.5 * place
            if second - 1 < due + 15.0 <= second:
                test.run(due, 15.0, Outcome.FAILED if due < 20.0 else Outcome.SUCCEEDED)
        assert test.look(float(second), 2 * second) is None, second
    state, value = test.states()[metric]
    assert state == "kept"
    assert value == pytest.approx({"run.success_rate": 1.0, "run.failed": 0.0}.get(metric, 80.0), abs=3.0)
