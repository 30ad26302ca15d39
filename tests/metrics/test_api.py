from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from made_samples import made_sample

from kfp_perf.metrics.api import ApiMetrics
from kfp_perf.metrics.figures import figures_of
from kfp_perf.result.calls import CallSecond
from kfp_perf.result.records import Attempt, CallOutcome, Purpose, Sample
from kfp_perf.result.scenario_writer import ScenarioInfo, StateLine
from kfp_perf.statistics.quantiles import FINE_QUANTILES

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Sample]
    Tell = Callable[..., dict[str, Any]]
    Files = Callable[..., Any]

T0 = 1_790_000_000.0


def test_latency_counts_from_due_service_from_sent(sample: Make, figures: Tell) -> None:
    random = np.random.default_rng(1)
    took, late = random.lognormal(-3.0, 1.0, 2000), random.exponential(0.02, 2000)
    pairs = list(zip(took.tolist(), late.tolist(), strict=True))
    found = figures([sample(place * 0.01, one, wait) for place, (one, wait) in enumerate(pairs)])
    get = found["api"]["load"]["GetRun"]
    for key, values in (("latency_seconds", took + late), ("service_seconds", took)):
        for name, share in FINE_QUANTILES.items():
            exact = float(np.quantile(values, share, method="inverted_cdf"))
            assert get[key][name] == pytest.approx(exact, rel=1e-3, abs=2e-6)
        assert get[key]["n"] == 2000
        assert get[key]["max"] == pytest.approx(values.max(), rel=1e-5)
    # The mean of latencies is exact, that of service times is from the histogram.
    assert get["latency_seconds"]["mean"] == pytest.approx((took + late).mean(), rel=1e-6)
    assert get["service_seconds"]["mean"] == pytest.approx(took.mean(), rel=1e-3)
    assert "not_reached" not in get["latency_seconds"]


def test_the_rate_of_the_load_is_of_its_measured_time(sample: Make, files: Files) -> None:
    """Also that of an operation that was due twice."""
    twice = [sample(12.0, 0.1, operation="GetPipeline"), sample(17.0, 0.1, operation="GetPipeline")]
    often = [sample(float(second), 0.1) for second in range(50)]
    measured = {"start_at": T0, "measured_from": T0 + 10.0, "end_at": T0 + 50.0}
    one = files([*twice, *often], name="one", **measured)
    other = files([sample(60.0)], name="other", start_at=T0 + 50.0, measured_from=T0 + 50.0, end_at=T0 + 90.0)
    found = figures_of([one, other])
    load = found.scenarios["one"]["api"]["load"]
    assert (load["GetPipeline"]["rate_per_second"], load["GetRun"]["rate_per_second"]) == (2 / 40, 1.0)
    assert found.total["api"]["load"]["GetPipeline"]["rate_per_second"] == 2 / 80


def test_the_rate_of_a_load_that_was_stopped_is_of_the_time_that_it_went_on() -> None:
    family = ApiMetrics()
    family.on_info(ScenarioInfo(name="s", start_at=T0, measured_from=T0, end_at=T0 + 100.0))
    for at, phase in ((-1.0, "waiting"), (1.0, "running"), (20.0, "finishing"), (90.0, "cleaning up")):
        family.on_state(StateLine(counters={"at": T0 + at, "phase": phase}))
    call = CallSecond(
        second=int(T0), purpose=Purpose.LOAD, operation="GetRun", count=10, first_due=T0, last_ended=T0 + 1
    )
    family.on_calls(call)
    assert family.result()["load"]["GetRun"]["rate_per_second"] == 0.5


def test_where_the_load_s_end_is_not_known_the_rate_is_from_the_first_due_to_the_last_end(
    sample: Make, figures: Tell
) -> None:
    found = figures([sample(float(second), 1.0) for second in range(10)])
    assert found["api"]["load"]["GetRun"]["rate_per_second"] == 1.0
    alone = figures([sample()], name="alone")
    assert alone["api"]["load"]["GetRun"]["rate_per_second"] is None


def test_an_operation_is_due_once_however_often_it_was_attempted(sample: Make, figures: Tell) -> None:
    begin = T0 + 5.0
    earlier = (
        Attempt(begin + 0.1, begin + 0.2, 503, "503", "overloaded", unknown=True),
        Attempt(begin + 1.2, begin + 1.3, 0, "reset"),
    )
    retried = made_sample("GetRun", begin, begin + 3.3, begin + 3.4, earlier=earlier)
    get = figures([sample(), retried])["api"]["load"]["GetRun"]
    assert (get["count"], get["answered"], get["errors"], get["error_rate"]) == (2, 2, 0, 0.0)
    assert (get["attempts"], get["retries"], get["unknown"]) == (4, 2, 1)
    assert get["attempt_errors"] == {"503": 1, "reset": 1}
    assert get["errors_by_kind"] == {}
    # Latency includes the back-off, service is of the attempts that succeeded.
    assert get["latency_seconds"]["max"] == pytest.approx(3.4, rel=1e-3)
    assert get["service_seconds"]["n"] == 2
    assert get["service_seconds"]["max"] == pytest.approx(0.1, rel=1e-3)


def test_failed_operations_rank_above_all_answered_ones(sample: Make, figures: Tell) -> None:
    answered = [sample(0.1 * place, 0.1 + 0.01 * place) for place in range(98)]
    quick_bad = [sample(0.0, 0.001, status=503, error="503") for _ in range(2)]
    get = figures([*answered, *quick_bad])["api"]["load"]["GetRun"]
    latency = get["latency_seconds"]
    assert (get["count"], get["answered"], get["errors"], get["error_rate"]) == (100, 98, 2, 0.02)
    assert latency["n"] == 100
    assert latency["p95"] == pytest.approx(0.1 + 0.01 * 94, rel=1e-3)
    assert (latency["p99"], latency["p99.9"], latency["max"]) == (None, None, None)
    assert latency["not_reached"] == ["p99", "p99.9", "max"]
    assert latency["longest_answered"] == pytest.approx(1.07, rel=1e-3)
    assert latency["mean"] == pytest.approx(np.mean([0.1 + 0.01 * place for place in range(98)]), rel=1e-6)
    assert get["failed_seconds"]["n"] == 2
    assert get["service_seconds"]["n"] == 98


def test_where_nothing_was_answered_no_quantile_is_reached(sample: Make, figures: Tell) -> None:
    latency = figures([sample(error="503", status=503)])["api"]["load"]["GetRun"]["latency_seconds"]
    assert latency == {
        "n": 1,
        **dict.fromkeys([*FINE_QUANTILES, "max", "mean", "longest_answered"]),
        "not_reached": [*FINE_QUANTILES, "max"],
    }


def test_what_was_cut_off_or_never_started_was_not_answered(sample: Make, figures: Tell) -> None:
    cancelled = Attempt(T0 + 1.0, T0 + 2.0, 0, "cancelled")
    cut_off = Sample("GetRun", T0 + 1.0, T0 + 2.0, (cancelled,), CallOutcome.CUT_OFF)
    never = Sample("GetRun", T0 + 1.5, T0 + 2.0, (), CallOutcome.NEVER_STARTED)
    answered = [sample(0.01 * place) for place in range(6)]
    get = figures([*answered, cut_off, never, sample(error="500", status=500)])["api"]["load"]["GetRun"]
    assert (get["count"], get["answered"], get["errors"]) == (9, 6, 1)
    assert (get["cut_off"], get["never_started"], get["error_rate"]) == (1, 1, 3 / 9)
    assert (get["attempts"], get["latency_seconds"]["n"]) == (8, 9)
    assert get["latency_seconds"]["p50"] == pytest.approx(0.1, rel=1e-3)
    assert get["latency_seconds"]["p90"] is None
    assert get["errors_by_kind"] == {"500": 1}, "neither of the others is a kind of error"


def test_failures_are_grouped_by_what_the_server_said(sample: Make, figures: Tell) -> None:
    refused = [
        sample(
            status=409, error="409", message=f"Run kfp-perf-steady-0a1b2c3d-{place} of {uuid.uuid4()} exists"
        )
        for place in range(5)
    ]
    found = figures([*refused, sample(status=503, error="503", message="overloaded"), sample()])
    assert found["api"]["load"]["GetRun"]["errors_by_message"] == [
        {"kind": "409", "message": "Run … of … exists", "count": 5},
        {"kind": "503", "message": "overloaded", "count": 1},
    ]


def test_messages_of_several_seconds_are_added(sample: Make, figures: Tell) -> None:
    bad = [sample(float(second), status=503, error="503", message="overloaded") for second in range(3)]
    found = figures([*bad, sample(status=503, error="503", message="no")])["api"]["load"]["GetRun"]
    assert found["errors_by_message"][0] == {"kind": "503", "message": "overloaded", "count": 3}


def test_what_is_gone_is_neither_error_nor_answer(sample: Make, figures: Tell) -> None:
    gone = sample(status=404, error="404", outcome=CallOutcome.GONE)
    get = figures([sample(), gone])["api"]["load"]["GetRun"]
    assert (get["count"], get["gone"], get["errors"], get["error_rate"]) == (2, 1, 0, 0.0)
    assert get["latency_seconds"]["n"] == 1
    assert "not_reached" not in get["latency_seconds"]
    alone = figures([gone], name="alone")["api"]["load"]["GetRun"]
    assert alone["error_rate"] is None, "nothing is known of it"


def test_purposes_and_operations_are_separate(sample: Make, figures: Tell) -> None:
    found = figures(
        [
            sample(),
            sample(operation="CreateRun"),
            sample(purpose=Purpose.OBSERVE),
            sample(purpose=Purpose.OBSERVE),
        ]
    )["api"]
    counts = {
        (purpose, name): one["count"]
        for purpose in ("load", "observe")
        for name, one in found[purpose].items()
    }
    assert counts == {("load", "CreateRun"): 1, ("load", "GetRun"): 1, ("observe", "GetRun"): 2}


def test_a_list_read_is_all_of_its_variants_and_each_of_them(sample: Make, figures: Tell) -> None:
    def read(took: float, variant: str, **fields: Any) -> Sample:
        return sample(0.0, took, operation="ListRuns", variant=variant, **fields)

    found = figures(
        [
            *(read(0.1, "in_experiment") for _ in range(3)),
            *(read(0.5, "newest") for _ in range(2)),
            read(0.01, "newest", status=500, error="500"),
            read(9.0, "newest", purpose=Purpose.OBSERVE),
        ]
    )["api"]
    load = found["load"]
    assert {name: one["count"] for name, one in load.items()} == {
        "ListRuns": 6,
        "ListRuns.in_experiment": 3,
        "ListRuns.newest": 3,
    }
    assert load["ListRuns.in_experiment"]["latency_seconds"]["max"] == pytest.approx(0.1, rel=1e-3)
    assert load["ListRuns.newest"]["error_rate"] == 1 / 3
    assert load["ListRuns"]["error_rate"] == 1 / 6
    assert load["ListRuns"]["latency_seconds"]["p50"] == pytest.approx(0.1, rel=1e-3)
    assert load["ListRuns"]["latency_seconds"]["mean"] == pytest.approx(1.3 / 5, rel=1e-6)
    assert list(found["observe"]) == ["ListRuns"], "what follows runs has no variants"


def test_merging_is_as_if_one_scenario_had_measured_all(sample: Make, files: Files) -> None:
    first = [sample(0.1 * place, 0.01 * place + 0.01) for place in range(20)]
    second = [
        sample(5.0, 0.5, operation="ListRuns", variant="newest"),
        sample(6.0, 0.2, status=500, error="500", message="no"),
    ]
    apart = figures_of([files(first, name="a"), files(second, name="b")])
    together = figures_of([files(first + second, name="c")])
    assert rounded(apart.total["api"]) == rounded(together.scenarios["c"]["api"])
    assert rounded(apart.total["api"]) == rounded(together.total["api"])


def rounded(value: Any) -> Any:
    """Without the last digits: sums of floats in another order."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    return round(value, 9) if isinstance(value, float) else value


def test_lateness_is_of_the_load_that_was_sent(sample: Make, files: Files) -> None:
    one = files(
        [
            *(sample(late=late) for late in (0.001, 0.002, 0.003)),
            sample(late=9.0, purpose=Purpose.OBSERVE),
            made_sample("GetRun", T0, 0.0, T0 + 1.0, 0, "refused"),
            Sample("GetRun", T0, T0 + 1.0, (), CallOutcome.NEVER_STARTED),
        ],
        name="a",
    )
    held = Sample("GetRun", T0, T0 + 8.0, (Attempt(T0 + 7.004, T0 + 8.0),), held_seconds=7.0)
    found = figures_of([one, files([held], name="b")])
    lateness = found.total["generator"]["lateness_seconds"]
    assert lateness["n"] == 4, "waiting for maxInFlight is no lateness"
    assert lateness["max"] == pytest.approx(0.004, abs=1e-5)
    assert lateness["mean"] == pytest.approx(0.0025, abs=1e-5)
