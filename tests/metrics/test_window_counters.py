"""Windows by the counters of a running test: what they say is confirmed by the files in the end."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from windowed_metric import how

from kfp_perf.metrics.window_counters import CountedWindows
from kfp_perf.metrics.window_files import worst_window
from kfp_perf.result.counters import ScenarioCounters
from kfp_perf.result.records import CallOutcome, Outcome
from kfp_perf.result.tally import Tally
from kfp_perf.statistics.windows import worst_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kfp_perf.result.reader import ScenarioFiles
    from kfp_perf.result.records import RunRecord, Sample

T0 = 1_790_000_000.0
LOAD = 120.0
WHOLE: dict[str, Any] = {
    "start_at": T0,
    "end_at": T0 + LOAD,
    "finished": T0 + 400.0,
    "open_load": True,
    "measured": True,
}


class Live:
    """Reads the counters of runs once a second, as an execution does; the time is what the test says."""

    def __init__(self, name: str, window: float | None, comparison: str, bound: float) -> None:
        self.metric = how(name)
        self.comparison, self.bound = comparison, bound
        self.windows = CountedWindows(
            self.metric, T0, T0 + LOAD, window, bound, low=not comparison.startswith(">")
        )
        self.worst: list[tuple[float, float]] = []  # when it was seen, and its figure

    def look(self, counters: ScenarioCounters, now: float) -> None:
        self.windows.add([counters], T0 + now)
        found = worst_of(
            self.windows.figures(T0 + now).figures, self.comparison, self.bound, self.metric.fewest
        )
        if found is not None:
            self.worst.append((now, found.value))

    def broken_at(self) -> float | None:
        """When it was first seen that the bound is not kept."""
        above = (
            now
            for now, value in self.worst
            if (value >= self.bound if self.comparison == "<" else value < self.bound)
        )
        return next(above, None)


def play_runs(live: Live, runs: Sequence[RunRecord], until: float = 400.0) -> None:
    """Let the runs be due and end, second by second."""
    tally = Tally()
    events = sorted(((one.seen_finished or one.ended) - T0, place) for place, one in enumerate(runs))
    dues = np.sort([one.due for one in runs])
    done = 0
    for second in np.arange(0.0, until, 1.0):
        while done < len(events) and events[done][0] <= second:
            tally.on_run(runs[events[done][1]], T0 + events[done][0])
            done += 1
        due = int(np.searchsorted(dues, T0 + second, side="right"))
        fields: dict[str, Any] = tally.fields()
        fields |= {"due": due, "started": due, "in_flight": due - done}
        live.look(ScenarioCounters(scenario="s", at=T0 + second, **fields), float(second))


def exponential(
    run: Callable[..., RunRecord], seed: int, mean: float, failing: float = 0.0
) -> list[RunRecord]:
    """Two runs a second, with random times; some of them fail."""
    random = np.random.default_rng(seed)
    return [
        run(
            0.5 * place,
            float(random.exponential(mean * (3.0 if 100 <= place < 150 else 1.0))),
            outcome=Outcome.FAILED if random.random() < failing else Outcome.SUCCEEDED,
        )
        for place in range(int(2 * LOAD))
    ]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("name", "comparison", "bound"),
    [
        ("run.visible.p90", "<", 60.0),
        ("run.visible.p50", "<", 15.0),
        ("run.success_rate", ">=", 0.9),
    ],
)
def test_what_is_not_kept_while_it_runs_is_not_kept_by_the_files(
    files: Callable[..., ScenarioFiles],
    run: Callable[..., RunRecord],
    name: str,
    comparison: str,
    bound: float,
    seed: int,
) -> None:
    runs = exponential(run, seed, 20.0, failing=0.05)
    live = Live(name, 30.0, comparison, bound)
    play_runs(live, runs)
    one = files(runs=runs, **WHOLE)
    # A few of the 60 runs of a window may be taken to be in the one beside it.
    few = 4 / 60

    def final(more: float) -> float:
        metric = dataclasses.replace(live.metric, share=min(1.0, live.metric.share + more))
        found = worst_window([one], metric, 30.0, comparison, bound)
        assert found is not None
        return np.inf if found.value is None else found.value

    seen = [figure for _, figure in live.worst]
    if comparison == "<":
        assert final(-few) / 1.04 <= max(seen) <= final(few)
    else:
        assert min(seen) == pytest.approx(final(0.0), abs=few)


def test_a_server_that_stands_still_is_seen_when_runs_have_waited_for_the_bound(
    run: Callable[..., RunRecord],
) -> None:
    """Runs due from 60 s on never end. At 90 s the first of them have waited for 30 s."""
    runs = [run(0.5 * place, 9.0 if place < 120 else 9999.0) for place in range(240)]
    live = Live("run.visible.p90", 20.0, "<", 30.0)
    play_runs(live, runs, until=120.0)
    broken = live.broken_at()
    assert broken is not None
    assert 90.0 < broken < 97.0


def test_a_healthy_server_is_never_seen_as_broken(run: Callable[..., RunRecord]) -> None:
    runs = [run(0.5 * place, 20.0 + place % 3) for place in range(240)]
    for window in (10.0, 30.0, None):
        live = Live("run.visible.p95", window, "<", 25.0)
        play_runs(live, runs)
        assert live.broken_at() is None
        assert live.worst, "but it was judged"


def test_failures_show_at_once(run: Callable[..., RunRecord]) -> None:
    runs = [
        run(
            0.5 * place,
            outcome=Outcome.REFUSED if place >= 120 else Outcome.SUCCEEDED,
            **({"seen_finished": None} if place >= 120 else {}),
        )
        for place in range(240)
    ]
    live = Live("run.success_rate", 20.0, ">=", 0.9)
    play_runs(live, runs, until=120.0)
    broken = live.broken_at()
    assert broken is not None
    assert 62.0 <= broken <= 66.0, "more than a tenth of the 40 runs of a window, after 2 s"


def test_the_lag_is_that_of_the_files(
    files: Callable[..., ScenarioFiles], run: Callable[..., RunRecord]
) -> None:
    runs = [run(0.5 * due, 0.5 * due + 1.0) for due in range(240)]
    live = Live("load.lag", 20.0, "<", 10.0)
    play_runs(live, runs)
    final = worst_window([files(runs=runs, **WHOLE)], live.metric, 20.0, "<", 10.0)
    assert final is not None
    assert max(value for _, value in live.worst) == pytest.approx(final.value, abs=2.0)


def play_calls(live: Live, samples: Sequence[Sample]) -> None:
    tally = Tally()
    order = sorted(samples, key=lambda one: one.ended)
    dues = np.sort([one.due for one in samples])
    done = 0
    for second in np.arange(0.0, 200.0, 1.0):
        while done < len(order) and order[done].ended <= T0 + second:
            tally.on_sample(order[done])
            done += 1
        due = int(np.searchsorted(dues, T0 + second, side="right"))
        fields: dict[str, Any] = tally.fields()
        live.look(ScenarioCounters(scenario="s", at=T0 + second, due=due, **fields), float(second))


@pytest.mark.parametrize("other", ["", "ListRuns"])
def test_operations_of_one_kind(sample: Callable[..., Sample], other: str) -> None:
    """From 60 s on they take 8 s in place of 0.1, and some of them fail."""
    samples = [
        sample(
            0.1 * place,
            0.1 if place < 600 else 8.0,
            outcome=CallOutcome.FAILED if place >= 600 and place % 3 == 0 else CallOutcome.ANSWERED,
        )
        for place in range(1200)
    ]
    if other:
        samples += [sample(0.1 * place, 0.1, operation=other) for place in range(1200)]
    slow = Live("api.GetRun.latency.p90", 20.0, "<", 1.0)
    errors = Live("api.GetRun.error_rate", 20.0, "<=", 0.2)
    rate = Live("api.GetRun.rate", 20.0, ">=", 9.0)
    for one in (slow, errors, rate):
        play_calls(one, samples)
    broken = slow.broken_at()
    assert broken is not None
    # Those that wait are known to be of this kind where there is no other; else some must have ended.
    assert 61.0 <= broken <= (66.0 if not other else 74.0)
    assert max(value for _, value in errors.worst) == pytest.approx(1 / 3, abs=0.05)
    assert min(value for _, value in rate.worst) == pytest.approx(0.1 * 120 / 2.0, abs=0.7)


def test_memory_is_bounded() -> None:
    live = CountedWindows(how("run.visible.p95"), T0, T0 + 86_400.0, 60.0, 90.0)
    size = live._answered.nbytes
    for second in range(0, 86_400, 500):
        fields: dict[str, Any] = {"due": second, "started": second, "in_flight": second}
        live.add([ScenarioCounters(scenario="s", **fields)], T0 + second)
    assert live._answered.nbytes == size < 1_000_000
    assert live.figures(T0 + 86_400.0).figures.values.size
