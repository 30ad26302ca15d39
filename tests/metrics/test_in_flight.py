"""How many runs or requests were in flight: in the whole test, in windows, and while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from windowed_metric import how

from kfp_perf.metrics.figures import figures_of
from kfp_perf.metrics.in_flight import figures_in_flight, readings_of, together
from kfp_perf.metrics.window_counters import CountedWindows
from kfp_perf.metrics.window_files import worst_window
from kfp_perf.result.counters import ScenarioCounters
from kfp_perf.result.reader import TestResult
from kfp_perf.result.scenario_writer import ScenarioWriter
from kfp_perf.statistics.windows import worst_of
from kfp_perf.thresholds import Threshold, parse_threshold

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from kfp_perf.result.reader import ScenarioFiles

T0 = 1_790_000_000.0
LOAD = 120.0
WHOLE: dict[str, Any] = {
    "start_at": T0,
    "end_at": T0 + LOAD,
    "finished": T0 + 200.0,
    "measured": True,
    "ended": True,
}


def counts_at(second: int) -> int:
    """10 in flight, 40 for the twenty seconds from 60 s on, and one peak at 70 s; some are left after the load."""
    return 100 if second == 70 else 40 if 60 <= second < 80 else 10


def written(
    files: Callable[..., ScenarioFiles], counts: Mapping[int, int] | None = None, **fields: Any
) -> ScenarioFiles:
    """A scenario whose counters have these numbers in flight, by the second of the test."""
    found = files(**{**WHOLE, **fields})
    writer = ScenarioWriter(found.folder, T0)
    name = found.info.name
    known = {second: counts_at(second) for second in range(150)} if counts is None else counts
    for second, count in known.items():
        writer.state(
            ScenarioCounters(scenario=name, at=T0 + second, in_flight=count), {"load": {"started": 1}}
        )
    writer.close()
    return found


def in_flight(scenarios: list[ScenarioFiles], tmp_path: Path) -> dict[str, Any]:
    found = figures_of(scenarios, TestResult(tmp_path).evidence).total["load"]["in_flight"]
    assert isinstance(found, dict)
    return found


def test_the_most_and_the_mean_over_the_load(files: Callable[..., ScenarioFiles], tmp_path: Path) -> None:
    found = in_flight([written(files)], tmp_path)
    assert (found["n"], found["max"]) == (121, 100)
    assert found["mean"] == pytest.approx((100 * 10 + 19 * 40 + 100) / 120, abs=0.05)


def test_the_warm_up_does_not_count(files: Callable[..., ScenarioFiles], tmp_path: Path) -> None:
    found = in_flight([written(files, measured_from=T0 + 90.0)], tmp_path)
    assert found == {"n": 31, "max": 10, "mean": 10.0}


def test_scenarios_add_up_while_they_run(files: Callable[..., ScenarioFiles], tmp_path: Path) -> None:
    one = written(files, name="one")
    late = {"name": "two", "start_at": T0 + 75.0, "end_at": T0 + LOAD}
    two = written(files, dict.fromkeys(range(75, 121), 50), **late)
    found = in_flight([one, two], tmp_path)
    assert found["max"] == 100, "40 and 50 are less than the peak of one"
    assert in_flight([two], tmp_path)["max"] == 50
    worst = worst_window([one, two], how("load.in_flight.max"), 10.0, "<=", 80.0)
    assert worst is not None
    assert worst.value == 100.0
    worst = worst_window([one, two], how("load.in_flight.mean"), 10.0, "<=", 80.0)
    assert worst is not None
    assert worst.value == pytest.approx(75.0), "half of the window has 90, the other 60"


def test_readings_at_different_times_are_summed_as_steps() -> None:
    one, two = readings_of([(0.0, 1.0), (2.0, 3.0)]), readings_of([(1.0, 10.0), (3.0, 20.0)])
    at, counts = together([one, two])
    assert at.tolist() == [0.0, 1.0, 2.0, 3.0]
    assert counts.tolist() == [1.0, 11.0, 13.0, 20.0]
    assert figures_in_flight(together([])) == {}
    assert figures_in_flight(readings_of([(5.0, 7.0)])) == {"n": 1, "max": 7, "mean": 7.0}


@pytest.mark.parametrize(
    ("name", "value", "begin"), [("load.in_flight.mean", 43.0, 60.0), ("load.in_flight.max", 100.0, 51.0)]
)
def test_the_worst_window(files: Callable[..., ScenarioFiles], name: str, value: float, begin: float) -> None:
    found = worst_window([written(files)], how(name), 20.0, "<=", 15.0)
    assert found is not None
    assert found.value == pytest.approx(value)
    assert found.begin - T0 == begin


def test_a_killed_test_has_windows_until_it_was_killed(files: Callable[..., ScenarioFiles]) -> None:
    killed = written(files, {second: second for second in range(50)}, measured=False, finished=0.0)
    found = worst_window([killed], how("load.in_flight.max"), 10.0, "<=", 5.0)
    assert found is not None
    assert found.value == 48.0, "the last second is not whole"


@pytest.mark.parametrize(
    ("name", "window", "expected"),
    [
        ("load.in_flight.max", None, 100.0),
        ("load.in_flight.max", 20.0, 100.0),
        ("load.in_flight.mean", 20.0, 43.0),
    ],
)
def test_a_running_test_says_the_same(name: str, window: float | None, expected: float) -> None:
    windows = CountedWindows(how(name), T0, T0 + LOAD, window, 15.0)
    largest = 0.0
    for second in np.arange(0.0, 150.0, 1.0):
        half = counts_at(int(second)) // 2
        counters = [ScenarioCounters(scenario=one, at=T0 + second, in_flight=half) for one in "ab"]
        windows.add(counters, T0 + float(second))
        worst = worst_of(windows.figures(T0 + float(second)).figures, "<=", 15.0)
        if worst is not None:
            largest = max(largest, worst.value)
    assert largest == pytest.approx(expected)


def test_it_may_abort_a_test_but_not_because_it_is_0_at_first() -> None:
    def parsed(condition: str) -> object:
        return parse_threshold("load.in_flight.max", condition, "$", abort_on_fail=True)

    assert isinstance(parsed("<= 500"), Threshold)
    assert isinstance(parsed("> 5 over 1m"), Threshold)
    assert "grows from 0" in str(parsed("> 5"))
