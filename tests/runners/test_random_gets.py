from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from fake_kfp import FakeKfp
from played import Played, at

from kfp_perf.client.messages import RunSpec
from kfp_perf.client.protocol import ListQuery, Operator
from kfp_perf.config import TestConfig
from kfp_perf.errors import ApiStatusError, RunnerError
from kfp_perf.result.records import CallOutcome, Purpose
from kfp_perf.runners import create_runner
from kfp_perf.scenario.model import DEFAULT_MIX, TestScenario

if TYPE_CHECKING:
    from virtual_time import VirtualClock

READS = set(DEFAULT_MIX)


def filled(clock: VirtualClock, runs: int = 40, pipelines: int = 5, **fake: Any) -> FakeKfp:
    """A server that has seen some use."""
    kfp = FakeKfp(clock, **fake)
    default = next(iter(kfp.experiments))
    for number in range(runs):
        kfp.add_run(RunSpec(name=f"training-{number}", experiment_id=default))
    for number in range(pipelines):
        name = f"pipeline-{number}"
        kfp.put_pipeline(name)
    return kfp


def play(server: Any = filled, **fields: Any) -> Played:
    return Played({"mode": "RANDOM_GETS", "seed": 1, **fields}, server=server)


def calls(played: Played) -> Counter[str]:
    return Counter(sample.operation for sample in played.samples if sample.purpose is Purpose.LOAD)


def queries(played: Played, operation: str) -> list[ListQuery]:
    return [argument for name, argument in played.kfp.calls if name == operation]


def test_readers_have_one_request_outstanding_and_think_between() -> None:
    played = play(lambda clock: filled(clock, answer_seconds=0.5), numTimes=4, thinkTime="1s")
    assert played.error is None
    assert sum(calls(played).values()) == 4 * 60 / 1.5
    for sample in played.samples:
        assert sample.due == sample.sent
    assert played.told["load"].started == played.told["reads"].reads == 160


def test_in_the_open_model_latency_counts_from_when_a_read_was_due() -> None:
    played = play(lambda clock: filled(clock, answer_seconds=2.0), arrivalRate="1/s", maxInFlight=1)
    loads = [sample for sample in played.samples if sample.purpose is Purpose.LOAD]
    answered = [sample for sample in loads if sample.answered]
    assert len(answered) == 30
    assert max(sample.latency_seconds for sample in answered) > 25
    # All that were due are accounted for, also those that never started.
    assert Counter(sample.outcome.value for sample in loads) == {"answered": 30, "never_started": 30}
    assert played.told["load"].never_started == 30
    assert played.told["load"].held_back > 20


def test_calls_come_by_their_weights() -> None:
    counted = calls(play(numTimes=30))
    total = sum(counted.values())
    assert total > 1500
    assert set(counted) == READS
    for call, weight in DEFAULT_MIX.items():
        assert counted[call] / total == pytest.approx(weight / 100, abs=0.04)


def test_a_seed_gives_the_same_calls_whatever_the_server_holds() -> None:
    few = play(lambda clock: filled(clock, 10, 2), mix={"GetRun": 1, "ListRuns": 1, "GetPipeline": 1})
    many = play(lambda clock: filled(clock, 50, 30), mix={"GetRun": 1, "ListRuns": 1, "GetPipeline": 1})
    other = play(seed=2, mix={"GetRun": 1, "ListRuns": 1, "GetPipeline": 1})
    order = [sample.operation for sample in few.samples if sample.purpose is Purpose.LOAD]
    assert order == [sample.operation for sample in many.samples if sample.purpose is Purpose.LOAD]
    assert order != [sample.operation for sample in other.samples if sample.purpose is Purpose.LOAD]


def test_what_is_read_does_not_follow_from_which_call_is_made() -> None:
    scenario = TestScenario.model_validate({"mode": "RANDOM_GETS", "runTime": 1, "seed": 1})
    runner: Any = create_runner(scenario, config=TestConfig())
    assert runner._calls.random() != runner._chance.random()


def test_a_drawn_seed_is_recorded_and_repeats_the_scenario() -> None:
    first = play(seed=None, arrivalRate="1/s", arrivals="poisson")
    seed = first.told["load"].seed
    again = play(seed=seed, arrivalRate="1/s", arrivals="poisson")
    dues = [
        [
            (sample.operation, round(sample.due - played.runner.start_at, 6))
            for sample in played.samples
            if sample.purpose is Purpose.LOAD
        ]
        for played in (first, again)
    ]
    assert len(dues[0]) > 30
    assert dues[0] == dues[1]
    assert play(seed=None, arrivalRate="1/s", arrivals="poisson").told["load"].seed != seed


def test_calls_of_weight_zero_are_not_made() -> None:
    assert set(calls(play(numTimes=20, mix={"GetRun": 1, "ListPipelines": 0}))) == {"GetRun"}


def test_lists_are_asked_for_as_a_user_interface_does() -> None:
    asked = queries(play(numTimes=20, mix={"ListRuns": 1}), "ListRuns")
    first = [query for query in asked if not query.page_token]
    sizes = Counter(query.page_size for query in first)
    assert set(sizes) - {200} == {10, 20, 50, 100}
    assert sizes[10] > len(first) / 2
    orders = Counter(query.sort_by for query in first)
    assert set(orders) == {"created_at desc", "created_at", "name", "name desc"}
    assert orders["created_at desc"] > len(first) / 2
    searched = [
        predicate.value
        for query in first
        for predicate in query.filter
        if predicate.operator is Operator.IS_SUBSTRING
    ]
    assert searched
    names = " ".join(f"training-{number}" for number in range(40))
    assert all(isinstance(part, str) and part and part in names for part in searched)
    assert sum(bool(query.experiment_id) for query in first) > len(first) / 5
    assert all(
        "storage_state" in {predicate.key for predicate in query.filter}
        for query in first
        if query.page_size != 200
    )


def test_later_pages_are_reached_by_the_token_of_the_page_before_and_some_lie_deep() -> None:
    played = play(lambda clock: filled(clock, 120), numTimes=15, mix={"ListRuns": 1})
    later = [int(query.page_token) for query in queries(played, "ListRuns") if query.page_token]
    reads = played.told["reads"]
    assert reads.later_pages == len(later)
    assert len(later) > reads.reads / 8
    assert reads.deepest_page >= 9
    assert max(later) >= 80


def test_what_was_deleted_meanwhile_is_counted_apart_and_not_asked_for_again() -> None:
    def emptied(clock: VirtualClock) -> FakeKfp:
        kfp = filled(clock, 20, 5)
        at(30, kfp.runs.clear)
        return kfp

    played = play(emptied, numTimes=10, mix={"GetRun": 1}, thinkTime="500ms")
    gone = [sample for sample in played.samples if sample.outcome is CallOutcome.GONE]
    reads = played.told["reads"]
    assert played.error is None
    assert 1 <= len(gone) == reads.gone <= 60
    assert {(sample.operation, sample.status, sample.error) for sample in gone} == {("GetRun", 404, "")}
    assert len([name for name, _ in played.kfp.calls if name == "GetRun"]) < reads.reads
    assert reads.failed == 0
    assert reads.nothing_to_get > 100
    assert not played.runner.progress.errors


def test_lists_of_what_was_deleted_are_counted_apart_too() -> None:
    def emptied(clock: VirtualClock) -> FakeKfp:
        kfp = filled(clock, 20, 5)

        listed = kfp.list_pipeline_versions
        calls = iter(range(1000))

        async def list_versions(pipeline_id: str, query: ListQuery, **given: Any) -> Any:
            if next(calls) in {50, 51, 52}:
                gone = f"Pipeline {pipeline_id} not found"
                kfp.failures["ListPipelineVersions"].append(ApiStatusError("", gone, status=404))
            return await listed(pipeline_id, query, **given)

        kfp.list_pipeline_versions = list_versions  # type: ignore[method-assign]
        return kfp

    played = play(emptied, numTimes=1, mix={"ListPipelineVersions": 1}, thinkTime="500ms")
    assert played.error is None
    assert played.told["reads"].gone == 3
    assert sum(sample.outcome is CallOutcome.GONE for sample in played.samples) == 3


@pytest.mark.parametrize(
    "message",
    ["Not Found", "text, '404 page not found'", "Cannot GET /apis/v2beta1/runs", "no Route matched"],
)
def test_a_server_that_has_no_such_api_is_not_one_where_all_was_deleted(message: str) -> None:
    """As an ingress answers that has lost its route."""

    def lost(clock: VirtualClock) -> FakeKfp:
        kfp = filled(clock)
        refusal = ApiStatusError("", message, status=404)
        at(1, lambda: kfp.failures.update({call: [refusal] * 1000 for call in READS}))
        return kfp

    played = play(lost, numTimes=10)
    assert played.told["reads"].gone == 0
    assert played.told["reads"].failed > 10
    assert not any(sample.outcome is CallOutcome.GONE for sample in played.samples)


def test_only_what_was_asked_for_can_be_gone() -> None:
    def strange(clock: VirtualClock) -> FakeKfp:
        kfp = filled(clock)
        at(
            1,
            lambda: kfp.failures["ListExperiments"].append(ApiStatusError("", "Run 1 not found", status=404)),
        )
        at(1, lambda: kfp.failures["GetRun"].append(ApiStatusError("", "Run 1 not found", status=404)))
        return kfp

    played = play(strange, numTimes=10)
    assert (played.told["reads"].gone, played.told["reads"].failed) == (0, 2)


def test_reads_that_all_met_what_was_deleted_are_a_failure() -> None:
    fields = {"mode": "RANDOM_GETS", "numTimes": 1, "runTime": "10s", "mix": {"GetRun": 1}, "thinkTime": "1s"}
    played = Played(fields, server=filled, meanwhile=lambda played: played.kfp.runs.clear())
    assert isinstance(played.error, RunnerError)
    assert "Not one of 10 reads" in str(played.error)
    assert played.told["reads"].gone == 10


def test_on_an_empty_server_lists_still_work_and_nothing_is_made() -> None:
    played = play(FakeKfp, numTimes=10)
    counted = calls(played)
    assert played.error is None
    assert counted["ListRuns"] > counted["ListPipelines"] > 0
    assert counted["GetRun"] == counted["GetPipeline"] == counted["GetPipelineVersion"] == 0
    assert played.told["reads"].nothing_to_get > 100
    assert {name for name, _ in played.kfp.calls} <= READS
    assert not played.kfp.runs


def test_what_lists_show_is_read_later() -> None:
    def growing(clock: VirtualClock) -> FakeKfp:
        kfp = FakeKfp(clock)
        at(20, lambda: kfp.add_run(RunSpec(name="late", experiment_id=next(iter(kfp.experiments)))))
        return kfp

    counted = calls(play(growing, numTimes=5, mix={"GetRun": 1, "ListRuns": 1}))
    assert counted["GetRun"] > 50


def test_a_failing_server_is_backed_off_from_and_named() -> None:
    def failing(clock: VirtualClock) -> FakeKfp:
        kfp = filled(clock)
        refusal = ApiStatusError("GetRun", "Internal Server Error", status=500)
        at(10, lambda: kfp.failures["GetRun"].extend([refusal] * 10_000))
        return kfp

    played = play(failing, mix={"GetRun": 1}, thinkTime="100ms", numTimes=1)
    assert played.error is None
    assert 3 < played.told["reads"].failed < 20
    assert any(sample.error == "500" for sample in played.samples)


def test_not_one_read_is_a_failure() -> None:
    def failing(clock: VirtualClock) -> FakeKfp:
        kfp = filled(clock)
        kfp.failures["GetRun"] = [ApiStatusError("GetRun", "Internal Server Error", status=500)] * 1000
        return kfp

    played = play(failing, mix={"GetRun": 1})
    assert isinstance(played.error, RunnerError)
    assert "Not one of" in str(played.error)
    assert played.told["reads"].failed == played.told["load"].started > 0
    assert "Internal Server Error" in str(played.error)


def test_a_request_to_stop_ends_the_readers() -> None:
    played = Played(
        {"mode": "RANDOM_GETS", "runTime": "10min", "numTimes": 5},
        server=filled,
        meanwhile=lambda played: at(30, played.runner.request_stop),
    )
    assert played.error is None
    assert 30 <= played.ended < 32
