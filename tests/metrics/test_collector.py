from __future__ import annotations

import gc
import json
import logging
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.metrics import METRICS, GuardedCollector, MetricFamily, MetricsCollector, built_in_collector
from kfp_perf.observe.phases import PHASES
from kfp_perf.result.records import Purpose
from kfp_perf.result.series import Series, SeriesFile, read_series

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kfp_perf.result.records import RunRecord, Sample

T0 = 1_790_000_000.0


def test_every_family_has_its_key() -> None:
    collector = built_in_collector("s")
    assert list(collector.metrics()) == list(METRICS)
    assert {type(family) for family in collector.families.values()} == set(METRICS.values())


def test_warm_up_is_measured_but_kept_out(
    sample: Callable[..., Sample], run: Callable[..., RunRecord], tmp_path: Path
) -> None:
    file = SeriesFile(tmp_path / "series.hlog", T0)
    collector = built_in_collector("s", Series("s", file))
    collector.measured_from = T0 + 10.0
    for due in range(20):
        # What is due in the warm-up stays of the warm-up, however late it ends.
        collector.on_sample(
            sample(float(due), took=100.0 if due < 10 else 0.1, late=50.0 if due < 10 else 0.0)
        )
    collector.on_sample(sample(1.0, operation="ListRuns", purpose=Purpose.OBSERVE))
    collector.on_run(run(1.0, took=500.0, warmup=True))
    collector.on_run(run(11.0, took=5.0))
    collector.close()
    file.close()
    metrics = collector.metrics()
    get = metrics["api"]["load"]["GetRun"]
    assert (get["count"], metrics["api"]["warmup_requests"]) == (10, 10)
    assert get["latency_seconds"]["max"] == pytest.approx(0.1, abs=1e-5)
    assert metrics["generator"]["lateness_seconds"]["max"] == pytest.approx(0.0, abs=1e-5)
    assert metrics["api"]["observe"]["ListRuns"]["count"] == 1, "following runs has no warm-up"
    assert (metrics["runs"]["warmup"], metrics["runs"]["due"]) == (1, 1)
    assert metrics["runs"]["duration_seconds"]["max"] == 5.0
    kept = dict.fromkeys((True, False), 0)
    for second in read_series(tmp_path / "series.hlog"):
        if second.operation == "GetRun":
            kept[second.warmup] += int(second.counts.sum())
    assert kept == {True: 10, False: 10}


def test_totals_are_as_if_one_had_seen_all(
    sample: Callable[..., Sample], run: Callable[..., RunRecord]
) -> None:
    parts, whole = [built_in_collector(name) for name in "abc"], built_in_collector()
    for place in range(90):
        one, record = sample(0.1 * place, 0.01 + 0.001 * place), run(1.0 * place, 5.0 + place % 7)
        parts[place % 3].on_sample(one)
        parts[place % 3].on_run(record)
        whole.on_sample(one)
        whole.on_run(record)
    total = built_in_collector()
    for part in parts:
        total.merge(part)
    told, expected = total.metrics(), whole.metrics()
    # Runs of different scenarios have no common trend.
    told["runs"].pop("duration_trend")
    expected["runs"].pop("duration_trend")
    assert json.dumps(rounded(told)) == json.dumps(rounded(expected))


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    return round(value, 9) if isinstance(value, float) else value


def test_a_family_that_looks_at_runs_only_costs_samples_nothing() -> None:
    class Runs(MetricFamily):
        pass

    class Samples(MetricFamily):
        def on_sample(self, sample: Sample) -> None:
            pass

    collector = MetricsCollector("s", {"runs": Runs(), "samples": Samples()})
    assert [type(taker) for taker in collector._takers] == [Samples]


def test_memory_grows_with_runs_and_not_with_requests(
    sample: Callable[..., Sample], run: Callable[..., RunRecord], tmp_path: Path
) -> None:
    file = SeriesFile(tmp_path / "series.hlog", T0)
    collector = built_in_collector("s", Series("s", file))

    def held(requests: int, runs: int, begin: int) -> int:
        for place in range(begin, begin + requests):
            collector.on_sample(sample(place / 1000, 0.001 * (1 + place % 5000)))
        for place in range(begin, begin + runs):
            phases = dict.fromkeys(PHASES, float(place % 60))
            collector.on_run(run(float(place), phases=phases, phase_errors=phases))
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before, after = held(10_000, 0, 0), held(10_000, 0, 10_000)
        with_runs = held(0, 4000, 0)
    finally:
        tracemalloc.stop()
    file.close()
    assert after - before < 1.0 * 10_000, "less than a byte a request"
    # Ten doubles: duration, due, visible, and seven phases; arrays grow ahead by an eighth.
    assert (with_runs - after) / 4000 <= 100


class Mine(MetricsCollector):
    """A collector that fails where it is told to."""

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
def test_a_users_collector_that_fails_harms_nothing_and_is_told_once(
    moment: str,
    sample: Callable[..., Sample],
    run: Callable[..., RunRecord],
    caplog: pytest.LogCaptureFixture,
) -> None:
    kind = type("Failing", (Mine,), {"fails_at": moment, "tells": {"mine": 1}})
    with caplog.at_level(logging.ERROR):
        guarded = GuardedCollector("mine", lambda: kind("s"))
        guarded.measure_from(5.0)
        for _ in range(3):
            guarded.on_sample(sample())
            guarded.on_run(run())
        told = guarded.metrics()
    assert told == {"error": "ZeroDivisionError: on purpose"}
    assert guarded.error == told["error"]
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
def test_what_a_users_collector_tells_is_as_json_holds_it(tells: Any, told: Any) -> None:
    kind = type("Telling", (Mine,), {"tells": tells})
    assert GuardedCollector("mine", kind).metrics() == told


@pytest.mark.parametrize("tells", [None, [1], 5, "text", {"a": "\ud800"}])
def test_what_is_no_dictionary_for_json_is_an_error_of_that_collector(tells: Any) -> None:
    kind = type("Telling", (Mine,), {"tells": tells})
    assert "Error: " in GuardedCollector("mine", kind).metrics()["error"]


def test_a_users_collector_is_told_where_the_warm_up_ends() -> None:
    mine = Mine("s")
    GuardedCollector("mine", lambda: mine).measure_from(T0 + 5.0)
    assert mine.measured_from == T0 + 5.0
