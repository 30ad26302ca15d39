"""Users' collectors while a test runs, and the families that are made from its files."""

from __future__ import annotations

import gc
import json
import logging
import pickle
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.metrics import METRICS, GuardedCollector, MetricFamily, MetricsCollector, Recorder
from kfp_perf.metrics.figures import figures_of
from kfp_perf.observe.phases import PHASES
from kfp_perf.result.counters import ScenarioCounters
from kfp_perf.result.reader import ScenarioFiles
from kfp_perf.result.records import Purpose
from kfp_perf.result.scenario_writer import ScenarioInfo, ScenarioWriter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Self

    from kfp_perf.result.records import RunRecord, Sample

T0 = 1_790_000_000.0


def test_warm_up_is_measured_and_in_no_figure(
    sample: Callable[..., Sample], run: Callable[..., RunRecord], tmp_path: Path
) -> None:
    writer = ScenarioWriter(tmp_path, T0)
    recorder = Recorder(writer)
    recorder.measure_from(T0 + 10.0)
    for due in range(20):
        # What is due in the warm-up belongs to the warm-up, however late it ends.
        recorder.sample(sample(float(due), took=100.0 if due < 10 else 0.1, late=50.0 if due < 10 else 0.0))
    recorder.sample(sample(1.0, operation="ListRuns", purpose=Purpose.OBSERVE))
    recorder.run(run(1.0, took=500.0, warmup=True))
    recorder.run(run(11.0, took=5.0))
    writer.close()
    files = ScenarioFiles(tmp_path, "s")
    metrics = figures_of([files]).of("s")
    get = metrics["api"]["load"]["GetRun"]
    assert (get["count"], metrics["api"]["warmup_requests"]) == (10, 10)
    assert get["latency_seconds"]["max"] == pytest.approx(0.1, abs=1e-5)
    assert metrics["generator"]["lateness_seconds"]["max"] == pytest.approx(0.0, abs=1e-5)
    assert metrics["api"]["observe"]["ListRuns"]["count"] == 1, "following runs has no warm-up"
    assert (metrics["runs"]["warmup"], metrics["runs"]["due"]) == (1, 1)
    assert metrics["runs"]["duration_seconds"]["max"] == 5.0
    kept = dict.fromkeys((True, False), 0)
    for second in files.series():
        if second.operation == "GetRun" and second.measure == "latency":
            kept[second.warmup] += int(second.counts.sum())
    assert kept == {True: 10, False: 10}


def test_totals_are_as_if_one_scenario_had_measured_all(
    sample: Callable[..., Sample], run: Callable[..., RunRecord], files: Callable[..., ScenarioFiles]
) -> None:
    samples = [sample(0.1 * place, 0.01 + 0.001 * place) for place in range(90)]
    runs = [run(1.0 * place, 5.0 + place % 7) for place in range(90)]
    parts = [files(samples[place::3], runs[place::3], name=name) for place, name in enumerate("abc")]
    total = figures_of(parts).total
    expected = figures_of([files(samples, runs, name="whole")]).total
    # Runs of different scenarios have no common trend.
    total["runs"].pop("duration_trend")
    expected["runs"].pop("duration_trend")
    assert json.dumps(rounded(total)) == json.dumps(rounded(expected))


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    return round(value, 9) if isinstance(value, float) else value


def test_reports_of_runners_are_joined_field_by_field(tmp_path: Path) -> None:
    both = []
    for name, reports in (
        ("a", {"reads": {"reads": 5, "gone": 1, "deepest_page": 7}, "load": {"started": 9}}),
        ("b", {"reads": {"reads": 2, "deepest_page": 3}, "observer": {"ticks": 4, "poll_seconds": 2.0}}),
    ):
        writer = ScenarioWriter(tmp_path / name, T0)
        writer.state(ScenarioCounters(scenario=name, at=T0), {"reads": {"reads": 1}})
        writer.state(ScenarioCounters(scenario=name, at=T0 + 1.0), reports)
        writer.close()
        both.append(ScenarioFiles(tmp_path / name))
    found = figures_of(both)
    assert found.of("a")["reads"]["reads"] == 5, "the last report counts"
    assert found.total["reads"] == {"reads": 7, "gone": 1, "deepest_page": 7}
    assert found.total["observer"] == {"ticks": 4, "poll_seconds": 2.0}
    assert found.total["load"]["started"] == 9


def test_slot_time_lost_is_a_share_of_slots_times_time(tmp_path: Path) -> None:
    both = []
    for name, idle in (("a", 1.0), ("b", 9.0)):
        writer = ScenarioWriter(tmp_path / name, T0)
        report = {"started": 5, "idle_slot_seconds": idle, "slot_seconds": 100.0}
        writer.state(ScenarioCounters(scenario=name), {"load": report})
        writer.close()
        both.append(ScenarioFiles(tmp_path / name))
    found = figures_of(both)
    lost = [found.of(name)["load"]["slot_time_lost"] for name in ("a", "b", None)]
    assert lost == [0.01, 0.09, 0.05]


def test_memory_does_not_grow_with_operations_while_a_test_runs(
    sample: Callable[..., Sample], tmp_path: Path
) -> None:
    writer = ScenarioWriter(tmp_path, T0)
    recorder = Recorder(writer)

    def held(begin: int) -> int:
        for place in range(begin, begin + 10_000):
            recorder.sample(sample(place / 1000, 0.001 * (1 + place % 5)))
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before, after = held(0), held(10_000)
    finally:
        tracemalloc.stop()
    writer.close()
    assert after - before < 1.0 * 10_000, "less than a byte an operation"


def test_memory_of_figures_grows_by_some_bytes_a_run(run: Callable[..., RunRecord]) -> None:
    families = [family() for family in METRICS.values()]

    def held(runs: int) -> int:
        for place in range(runs):
            phases = dict.fromkeys(PHASES, float(place % 60))
            record = run(float(place), phases=phases, phase_errors=phases)
            for family in families:
                family.on_run(record)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before, after = held(100), held(4000)
    finally:
        tracemalloc.stop()
    # Ten doubles: duration, due, visible, and seven phases; arrays grow ahead by an eighth.
    assert (after - before) / 4000 <= 100


class Mine(MetricsCollector):
    """A collector that fails in a given method."""

    fails_at = ""
    tells: Any = None

    def __init__(self, scenario_name: str = "") -> None:
        super().__init__(scenario_name)
        self.seen = 0
        self._fail("made")

    def _fail(self, moment: str) -> None:
        self.seen += 1
        if self.fails_at == moment:
            raise ZeroDivisionError("on purpose")

    def on_sample(self, sample: Sample) -> None:
        self._fail("sample")

    def on_run(self, record: RunRecord) -> None:
        self._fail("run")

    def collect_custom_metrics(self) -> Any:
        self._fail("collect")
        return self.tells


@pytest.mark.parametrize("moment", ["made", "sample", "run", "collect"])
def test_a_users_collector_that_fails_harms_nothing_and_is_reported_once(
    moment: str,
    sample: Callable[..., Sample],
    run: Callable[..., RunRecord],
    caplog: pytest.LogCaptureFixture,
) -> None:
    kind = type("Failing", (Mine,), {"fails_at": moment, "tells": {"mine": 1}})
    with caplog.at_level(logging.ERROR):
        guarded = GuardedCollector("mine", lambda: kind("s"))
        recorder = Recorder(None, [guarded])
        recorder.measure_from(5.0)
        for _ in range(3):
            recorder.sample(sample())
            recorder.run(run())
        told = guarded.result()
    assert told == {"error": "ZeroDivisionError: on purpose"}
    assert guarded.error == told["error"]
    assert recorder.tally.operations == 3
    (record,) = caplog.records
    assert record.exc_info is not None
    assert "mine" in record.getMessage()


class Odd:
    """Something that JSON does not know."""

    def __str__(self) -> str:
        return "odd"


@pytest.mark.parametrize(
    ("tells", "told"),
    [
        ({"mine": 1}, {"mine": 1}),
        ({}, {}),
        ({"a": {"b": [1, 2.5, None, True]}}, {"a": {"b": [1, 2.5, None, True]}}),
        ({"a": Odd(), "b": float("nan")}, {"a": "odd", "b": None}),
        ({(1, 2): 3, 4: 5}, {"(1, 2)": 3, "4": 5}),
    ],
)
def test_what_a_users_collector_returns_is_as_json_holds_it(tells: Any, told: Any) -> None:
    kind = type("Telling", (Mine,), {"tells": tells})
    assert GuardedCollector("mine", kind).result() == told


@pytest.mark.parametrize("tells", [None, [1], 5, "text", {"a": "\ud800"}])
def test_what_is_no_dictionary_for_json_is_an_error_of_that_collector(tells: Any) -> None:
    kind = type("Telling", (Mine,), {"tells": tells})
    assert "Error: " in GuardedCollector("mine", kind).result()["error"]


def test_a_users_collector_gets_the_end_of_the_warm_up() -> None:
    mine = Mine("s")
    Recorder(None, [GuardedCollector("mine", lambda: mine)]).measure_from(T0 + 5.0)
    assert mine.measured_from == T0 + 5.0


class Bytes(MetricsCollector):
    """A collector with figures of the whole test."""

    fails = False

    def __init__(self, scenario_name: str = "") -> None:
        super().__init__(scenario_name)
        self.received = 0

    def on_sample(self, sample: Sample) -> None:
        if self.fails:
            raise ZeroDivisionError("on purpose")
        self.received += sum(attempt.received_bytes for attempt in sample.attempts)

    def merge(self, other: Self) -> None:
        self.received += other.received

    def collect_custom_metrics(self) -> dict[str, Any]:
        return {"received": self.received}


def test_a_users_collector_merges_where_it_has_merge(sample: Callable[..., Sample]) -> None:
    guarded = [GuardedCollector("bytes", Bytes) for _ in range(2)]
    for place, one in enumerate(guarded):
        received = sample()
        attempt = type(received.attempts[0])(T0, T0 + 1.0, received_bytes=100 * (place + 1))
        one.on_sample(type(received)("GetRun", T0, T0 + 1.0, (attempt,)))
    first, second = (pickle.loads(pickle.dumps(one)) for one in guarded)
    assert first.merges
    first.merge(second)
    assert (first.result(), second.result()) == ({"received": 300}, {"received": 200})


def test_a_users_collector_is_asked_once_and_once_more_after_a_merge() -> None:
    class Asked(Bytes):
        asked = 0

        def collect_custom_metrics(self) -> dict[str, Any]:
            self.asked += 1
            return {"asked": self.asked}

    first, second = (GuardedCollector("asked", Asked) for _ in range(2))
    assert [first.result(), first.result(), second.result()] == [{"asked": 1}] * 3
    first.merge(second)
    assert [first.result(), first.result()] == [{"asked": 2}] * 2


def test_a_users_collector_without_merge_has_no_figures_of_the_whole_test() -> None:
    assert not GuardedCollector("mine", Mine).merges
    assert not MetricsCollector.merges()
    # The capacity is of a search, not of a test, so no scenario has a part of it.
    assert all(family.merges() for name, family in METRICS.items() if name != "capacity")


def test_the_total_of_a_collector_that_failed_in_one_scenario_is_an_error(
    sample: Callable[..., Sample],
) -> None:
    good, bad = Bytes("a"), Bytes("b")
    bad.fails = True
    first, second = GuardedCollector("bytes", lambda: good), GuardedCollector("bytes", lambda: bad)
    for one in (first, second):
        one.on_sample(sample())
    first.merge(second)
    assert first.result() == {"error": "ZeroDivisionError: on purpose"}


def test_what_a_scenario_wrote_of_users_collectors_is_in_its_figures(tmp_path: Path) -> None:
    writer = ScenarioWriter(tmp_path / "s", T0)
    writer.info(ScenarioInfo(name="s", custom={"mine": {"a": 1}, "runs": {"due": 99}}))
    writer.close()
    found = figures_of([ScenarioFiles(tmp_path / "s")])
    assert found.of("s")["mine"] == {"a": 1}
    assert found.of("s")["runs"]["due"] == 0, "a family of ours is not replaced"
    assert "mine" not in found.total


def test_a_family_without_merge_is_not_asked_for_the_whole_test() -> None:
    class Apart(MetricFamily):
        def result(self) -> dict[str, Any]:
            return {"a": 1}

    assert not Apart.merges()
    with pytest.raises(NotImplementedError):
        Apart().merge(Apart())
