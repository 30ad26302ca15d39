from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.stats import binom, theilslopes

from kfp_perf.metrics.figures import figures_of
from kfp_perf.result.records import Purpose

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from kfp_perf.result.reader import ScenarioFiles
    from kfp_perf.result.records import Sample

    Feed = Callable[..., dict[str | None, dict[str, Any]]]

T0 = 1_790_000_000.0


@pytest.fixture
def measured(sample: Callable[..., Sample], files: Callable[..., ScenarioFiles]) -> Feed:
    """The figures of a scenario whose operations had these due times and latencies; under None of the test."""
    names = (f"s{place}" for place in itertools.count())

    def feed(dues: NDArray[Any], latencies: NDArray[Any], more: Sequence[Sample] = ()) -> Any:
        samples = [sample(due, took) for due, took in zip(dues.tolist(), latencies.tolist(), strict=True)]
        name = next(names)
        found = figures_of([files([*samples, *more], name=name, measured_from=T0)])
        return {"s": found.of(name), None: found.total}

    return feed


def latency_of(metrics: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = metrics["api"]["load"]["GetRun"]["latency_seconds"]
    return found


def test_of_independent_requests_they_are_the_order_statistics(measured: Feed) -> None:
    random = np.random.default_rng(1)
    dues = np.arange(0.0, 300.0, 0.02)
    latencies = random.lognormal(-3.0, 0.8, dues.size)
    figures = latency_of(measured(dues, latencies)["s"])
    found = figures["intervals"]
    ordered = np.sort(latencies)
    for name, share in {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}.items():
        ranks = binom.ppf([0.025, 0.975], dues.size, share).astype(int)
        low, high = ordered[ranks - 1]
        exact = high - low
        # The same interval, but for a variance that is estimated from ten batches: t has nine degrees of freedom.
        assert 0.5 * exact < found[name][1] - found[name][0] < 2.0 * exact
        assert found[name][0] < np.quantile(latencies, share) < found[name][1]
    low, high = found["mean"]
    error = latencies.std() / np.sqrt(latencies.size)
    assert (low + high) / 2 == pytest.approx(figures["mean"])
    assert high - low == pytest.approx(2 * 2.26 * error, rel=0.5)


def test_of_requests_that_are_alike_in_time_they_are_wider(measured: Feed) -> None:
    random = np.random.default_rng(2)
    dues = np.arange(0.0, 600.0, 0.05)
    level = np.repeat(random.lognormal(0.0, 0.6, 60), dues.size // 60)
    alike = 0.02 * level * random.lognormal(0.0, 0.1, dues.size)
    found = latency_of(measured(dues, alike)["s"])["intervals"]["p50"]
    # The same requests in a random order, as if they were independent.
    shuffled = latency_of(measured(dues, random.permutation(alike))["s"])["intervals"]["p50"]
    assert found[1] - found[0] > 3.0 * (shuffled[1] - shuffled[0])


def test_the_whole_test_has_the_same_as_its_only_scenario(measured: Feed) -> None:
    dues = np.arange(0.0, 300.0, 0.2)
    metrics = measured(dues, np.random.default_rng(3).exponential(0.1, dues.size))
    assert latency_of(metrics["s"])["intervals"] == latency_of(metrics[None])["intervals"] != {}


def test_warm_up_and_other_purposes_do_not_count(measured: Feed, sample: Callable[..., Sample]) -> None:
    random = np.random.default_rng(4)
    dues = np.arange(0.0, 300.0, 0.2)
    latencies = random.exponential(0.1, dues.size)
    alone = latency_of(measured(dues, latencies)["s"])["intervals"]
    more = [
        *(sample(second - 30.0, 9.0) for second in np.arange(0.0, 29.0, 0.1).tolist()),
        *(sample(second, 0.001, purpose=Purpose.OBSERVE) for second in dues.tolist()),
    ]
    assert latency_of(measured(dues, latencies, more)["s"])["intervals"] == alone


def test_failed_operations_rank_above_the_interval_too(measured: Feed, sample: Callable[..., Sample]) -> None:
    dues = np.arange(0.0, 300.0, 0.2)
    latencies = np.random.default_rng(4).exponential(0.1, dues.size)
    alone = latency_of(measured(dues, latencies)["s"])
    failed = [sample(due, 0.001, status=500, error="500") for due in dues[::20].tolist()]
    found = latency_of(measured(dues, latencies, failed)["s"])
    assert set(found["intervals"]) == {"p50", "p90", "p95", "mean"}
    assert found["not_reached"] == ["p99", "p99.9", "max"]
    assert found["p90"] > alone["p90"]
    low, high = found["intervals"]["p90"]
    assert alone["p90"] < low + (high - low)
    assert low < found["p90"] < high
    assert found["intervals"]["p95"][1] is None, "one in 21 failed, so it may not be reached"
    assert found["mean"] == pytest.approx(alone["mean"])


def test_variants_have_their_own_and_their_list_has_one_of_all(
    sample: Callable[..., Sample], files: Callable[..., ScenarioFiles]
) -> None:
    random = np.random.default_rng(8)
    samples = [
        sample(due, took, operation="ListRuns", variant=variant)
        for variant, typical in (("newest", 0.01), ("sorted", 0.1))
        for due, took in zip(
            np.arange(0.0, 300.0, 0.5).tolist(), random.exponential(typical, 600).tolist(), strict=True
        )
    ]
    load = figures_of([files(samples)]).of("s")["api"]["load"]
    for name in ("ListRuns", "ListRuns.newest", "ListRuns.sorted"):
        low, high = load[name]["latency_seconds"]["intervals"]["p50"]
        assert low < load[name]["latency_seconds"]["p50"] < high
    assert load["ListRuns.newest"]["latency_trend"] is not None
    assert load["ListRuns"]["latency_trend"] is None, "a variant that begins later would look like a drift"


def test_ends_that_the_data_does_not_reach_are_absent(measured: Feed) -> None:
    dues = np.arange(0.0, 310.0, 2.8)
    found = latency_of(measured(dues, np.random.default_rng(8).exponential(0.1, dues.size))["s"])["intervals"]
    assert set(found) == {"p50", "p90", "p95", "p99", "mean"}, "111 values cannot tell p99.9"
    assert found["p50"][1] is not None
    assert found["p99"][1] is None


def test_latencies_that_drift_are_noticed(measured: Feed) -> None:
    random = np.random.default_rng(6)
    dues = np.arange(0.0, 400.0, 0.1)
    latencies = (0.1 + 0.05 * dues / 400.0) * random.lognormal(0.0, 0.3, dues.size)
    trend = measured(dues, latencies)["s"]["api"]["load"]["GetRun"]["latency_trend"]
    # From 100 ms to 150 ms, so by 40 % of 125 ms.
    low, high = trend["intervals"]["change_share"]
    assert trend["drifts"]
    assert 0.3 < low < trend["change_share"] < high < 0.5
    assert trend["change_share"] == pytest.approx(0.4, abs=0.05)
    per_second = [
        float(np.quantile(latencies[begin : begin + 10], 0.5, method="inverted_cdf"))
        for begin in range(0, dues.size, 10)
    ]
    slope = theilslopes(per_second, np.arange(400.0)).slope * 3600.0
    assert trend["slope_per_hour"] == pytest.approx(slope, rel=0.1)


def test_latencies_that_do_not_drift_are_not(measured: Feed) -> None:
    dues = np.arange(0.0, 400.0, 0.1)
    metrics = measured(dues, np.random.default_rng(7).lognormal(-2.0, 0.5, dues.size))
    assert not metrics["s"]["api"]["load"]["GetRun"]["latency_trend"]["drifts"]


def test_scenarios_together_have_no_drift_of_latencies(
    sample: Callable[..., Sample], files: Callable[..., ScenarioFiles]
) -> None:
    both = [
        files([sample(begin + place * 0.1, latency) for place in range(1000)], name=name)
        for name, begin, latency in (("a", 0.0, 0.01), ("b", 100.0, 1.0))
    ]
    found = figures_of(both)
    trends = {name: found.of(name)["api"]["load"]["GetRun"]["latency_trend"] for name in ("a", "b", None)}
    assert trends[None] is None
    assert trends["a"]["change_share"] == trends["b"]["change_share"] == 0.0


def test_less_than_five_minutes_are_too_short_for_intervals(measured: Feed) -> None:
    dues = np.arange(0.0, 298.0, 0.5)
    metrics = measured(dues, np.full(dues.size, 0.1))
    assert "intervals" not in latency_of(metrics["s"])
    assert "intervals" not in latency_of(metrics[None])
