from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from kfp_perf.metrics.api import ApiMetrics
from kfp_perf.metrics.generator import GeneratorMetrics
from kfp_perf.result.records import Purpose
from kfp_perf.statistics.quantiles import FINE_QUANTILES

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_perf.result.records import Sample

    Make = Callable[..., Sample]


def told(samples: list[Sample]) -> dict[str, Any]:
    family = ApiMetrics()
    for one in samples:
        family.on_sample(one)
    return family.result()


def test_latency_counts_from_due_service_from_sent(sample: Make) -> None:
    random = np.random.default_rng(1)
    took, late = random.lognormal(-3.0, 1.0, 2000), random.exponential(0.02, 2000)
    pairs = list(zip(took.tolist(), late.tolist(), strict=True))
    found = told([sample(place * 0.01, one, wait) for place, (one, wait) in enumerate(pairs)])
    figures = found["load"]["GetRun"]
    for key, values in (("latency_seconds", took + late), ("service_seconds", took)):
        for name, share in FINE_QUANTILES.items():
            exact = float(np.quantile(values, share, method="inverted_cdf"))
            assert figures[key][name] == pytest.approx(exact, rel=1e-3, abs=2e-6)
        assert figures[key]["mean"] == pytest.approx(values.mean(), rel=1e-5)
        assert figures[key]["n"] == 2000


def test_the_rate_is_from_the_first_due_to_the_last_end(sample: Make) -> None:
    found = told([sample(float(second), 1.0) for second in range(10)])
    assert found["load"]["GetRun"]["rate_per_second"] == 1.0
    assert told([sample()])["load"]["GetRun"]["rate_per_second"] is None


def test_failures_are_counted_and_not_timed(sample: Make) -> None:
    slow_good = [sample(0.0, 1.0) for _ in range(3)]
    quick_bad = [
        sample(0.0, 0.001, status=503, error="503", unknown=True),
        sample(0.0, 0.001, status=503, error="503", attempt=2),
        sample(0.0, 0.001, status=0, error="refused", attempt=3),
    ]
    figures = told(slow_good + quick_bad)["load"]["GetRun"]
    assert (figures["count"], figures["errors"], figures["error_rate"]) == (6, 3, 0.5)
    assert figures["errors_by_kind"] == {"503": 2, "refused": 1}
    assert (figures["unknown"], figures["retries"]) == (1, 2)
    assert figures["latency_seconds"]["n"] == 3
    assert figures["latency_seconds"]["p50"] == pytest.approx(1.0, rel=1e-3)


def test_failures_are_grouped_by_what_was_said(sample: Make) -> None:
    refused = [
        sample(
            status=409, error="409", message=f"Run kfp-perf-steady-0a1b2c3d-{place} of {uuid.uuid4()} exists"
        )
        for place in range(5)
    ]
    family = told([*refused, sample(status=503, error="503", message="overloaded"), sample()])
    assert family["load"]["GetRun"]["errors_by_message"] == [
        {"kind": "409", "message": "Run … of … exists", "count": 5},
        {"kind": "503", "message": "overloaded", "count": 1},
    ]


def test_what_is_gone_is_neither_failure_nor_answer(sample: Make) -> None:
    figures = told([sample(), sample(status=404, gone=True)])["load"]["GetRun"]
    assert (figures["count"], figures["gone"], figures["errors"]) == (2, 1, 0)
    assert figures["latency_seconds"]["n"] == 1


def test_purposes_and_operations_stand_apart(sample: Make) -> None:
    found = told(
        [
            sample(),
            sample(operation="CreateRun"),
            sample(purpose=Purpose.OBSERVE),
            sample(purpose=Purpose.OBSERVE),
        ]
    )
    counts = {
        (purpose, name): figures["count"]
        for purpose in ("load", "observe")
        for name, figures in found[purpose].items()
    }
    assert counts == {("load", "CreateRun"): 1, ("load", "GetRun"): 1, ("observe", "GetRun"): 2}


def test_merging_is_as_if_one_had_seen_all(sample: Make) -> None:
    first = [sample(0.1 * place, 0.01 * place + 0.01) for place in range(20)]
    second = [sample(5.0, 0.5, operation="ListRuns"), sample(6.0, 0.2, status=500, error="500", message="no")]
    one, other = ApiMetrics(), ApiMetrics()
    for family, samples in ((one, first), (other, second)):
        for each in samples:
            family.on_sample(each)
    other.on_warmup_sample(first[0])
    one.merge(other)
    expected = told(first + second)
    expected["warmup_requests"] = 1
    # Means are sums of floats, in another order.
    assert str(one.result()) == str(expected)


def test_lateness_is_of_the_load_that_was_sent(sample: Make) -> None:
    family = GeneratorMetrics()
    for late in (0.001, 0.002, 0.003):
        family.on_sample(sample(late=late))
    family.on_sample(sample(late=9.0, purpose=Purpose.OBSERVE))
    never_sent = sample(status=0, error="refused")
    family.on_sample(type(never_sent)("GetRun", never_sent.due, 0.0, never_sent.ended, error="refused"))
    other = GeneratorMetrics()
    other.on_sample(sample(late=0.004))
    family.merge(other)
    lateness = family.result()["lateness_seconds"]
    assert lateness["n"] == 4
    assert lateness["max"] == pytest.approx(0.004, abs=1e-6)
    assert lateness["mean"] == pytest.approx(0.0025, abs=1e-6)
