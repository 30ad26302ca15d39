"""Objects that a scenario prepares: created by others at the same time, or created without an answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from fake_kfp import FakeKfp
from played import Played
from virtual_time import EPOCH, VirtualClock, run_virtually

from kfp_perf.config import TestConfig
from kfp_perf.errors import ApiError, ApiInterrupted, ApiStatusError, RunnerError
from kfp_perf.pacing import StopSignal
from kfp_perf.result.journal import Journal, left_behind
from kfp_perf.runners import RUNNERS
from kfp_perf.runners.adoption import LOOK_BEFORE_REPEAT_SECONDS, LOOK_FOR_SECONDS, create_or_adopt
from kfp_perf.scenario.model import TestScenario

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOST = ApiInterrupted("CreateExperiment", "the connection was lost", kind="reset")
OF_KFP = ApiStatusError("CreateExperiment", "Internal Server Error", status=500)
EXISTS = ApiStatusError("CreateExperiment", "Already exists", status=409)
REFUSED = ApiStatusError("CreateExperiment", "Invalid name", status=400)
FAILED_LOOK_UP = ApiInterrupted("ListExperiments", "timed out", kind="timeout")


def adopt(
    error: ApiError, *looks: str | ApiError | None, stop_at: float | None = None, repeats: int = 0
) -> tuple[object, int, float]:
    """The outcome of a creation that failed: the object or the error, look-ups, and seconds."""

    async def main() -> tuple[object, int, float]:
        clock, stop = VirtualClock(), StopSignal()
        answers = iter(looks)
        count = 0

        async def create() -> str:
            raise error

        async def find() -> str | None:
            nonlocal count
            count += 1
            answer = next(answers, None)
            if isinstance(answer, ApiError):
                raise answer
            return answer

        if stop_at is not None:
            asyncio.get_running_loop().call_later(stop_at, stop.set)
        try:
            found: object = await create_or_adopt(create, find, clock=clock, stop=stop, repeats=repeats)
        except ApiError as raised:
            found = raised
        return found, count, clock.now() - EPOCH

    result: tuple[object, int, float] = run_virtually(main)
    return result


@pytest.mark.parametrize("error", [LOST, OF_KFP, EXISTS])
def test_what_is_found_by_its_name_is_adopted(error: ApiError) -> None:
    assert adopt(error, "it") == ("it", 1, 0)


@pytest.mark.parametrize("error", [OF_KFP, EXISTS])
def test_after_an_answer_of_kfp_one_look_up_decides(error: ApiError) -> None:
    assert adopt(error, None, "it") == (error, 1, 0)


def test_a_refusal_is_not_looked_into() -> None:
    assert adopt(REFUSED, "it") == (REFUSED, 0, 0)


def test_after_a_lost_answer_it_is_looked_for_with_growing_pauses() -> None:
    found, looks, seconds = adopt(LOST, None, None, None, "it")
    assert (found, looks) == ("it", 4)
    assert seconds == pytest.approx(0.5 + 1 + 2)
    found, looks, seconds = adopt(LOST)
    assert found is LOST
    assert seconds == pytest.approx(LOOK_FOR_SECONDS)
    assert looks < 20


def test_a_look_up_that_fails_decides_nothing() -> None:
    found, looks, seconds = adopt(OF_KFP, FAILED_LOOK_UP, FAILED_LOOK_UP, "it")
    assert (found, looks) == ("it", 3)
    assert seconds == pytest.approx(1.5)


def test_a_request_to_stop_ends_the_looking() -> None:
    assert adopt(LOST, stop_at=3)[2] == pytest.approx(3)


def test_scenarios_that_prepare_together_share_the_default_experiment() -> None:
    async def main() -> list[str]:
        clock = VirtualClock()
        kfp = FakeKfp(clock, multi_user=True)
        config = TestConfig.from_environment(IS_KUBEFLOW_MODE=True)
        runners: list[Any] = [
            RUNNERS["PIPELINE_RUN"](
                TestScenario.model_validate(
                    {"mode": "PIPELINE_RUN", "name": name, "runTime": 1, "pipelineFileName": "hello.yaml"}
                ),
                config=config,
                client=kfp,
                clock=clock,
                t0=EPOCH,
            )
            for name in ("a", "b", "c")
        ]
        await asyncio.gather(*(runner.prepare() for runner in runners))
        assert kfp.count("CreateExperiment") == 3, "none found it, so all tried to create it"
        assert len(kfp.experiments) == 1
        return [runner.experiment_id for runner in runners]

    ids: list[str] = run_virtually(main)
    assert len(set(ids)) == 1


_METHODS = {"UploadPipeline": "upload_pipeline", "CreateExperiment": "create_experiment"}


def answered_with(operation: str, status: int) -> Callable[[VirtualClock], FakeKfp]:
    """A server that carries out the first such call, and answers it with an error."""

    def server(clock: VirtualClock) -> FakeKfp:
        kfp = FakeKfp(clock)
        do = getattr(kfp, _METHODS[operation])
        errors = iter([ApiStatusError(operation, "upstream connect error", status=status, from_kfp=False)])

        async def call(*given: Any, **named: Any) -> Any:
            done = await do(*given, **named)
            if (failure := next(errors, None)) is not None:
                raise failure
            return done

        setattr(kfp, _METHODS[operation], call)
        # A view is a copy of the instance, so it has the replaced method too.
        return kfp

    return server


@pytest.mark.parametrize("status", [408, 500, 503, 524])
@pytest.mark.parametrize("operation", ["UploadPipeline", "CreateExperiment"])
def test_a_preparation_that_was_done_and_answered_with_an_error_is_adopted_and_deleted(
    tmp_path: Path, operation: str, status: int
) -> None:
    journal = Journal(tmp_path / "j")
    played = Played(
        {"mode": "EXPERIMENT", "pipelineFileName": "hello.yaml"},
        server=answered_with(operation, status),
        journal=journal,
    )
    assert played.error is None
    assert set(played.outcomes) == {"succeeded"}
    assert not played.kfp.pipelines
    assert [one.display_name for one in played.kfp.experiments.values()] == ["Default"]
    assert left_behind(journal.path) == []


@pytest.mark.parametrize("operation", ["UploadPipeline", "CreateExperiment"])
def test_a_row_of_prefill_that_was_made_and_answered_with_an_error_counts_as_made(
    tmp_path: Path, operation: str
) -> None:
    journal = Journal(tmp_path / "j")
    prefill = {"experiments": 2, "pipelines": 2}
    played = Played(
        {"mode": "RANDOM_GETS", "prefill": prefill}, server=answered_with(operation, 503), journal=journal
    )
    report = played.told["prefill"]
    assert (report.experiments, report.pipelines, report.failed) == (2, 2, 0)
    assert left_behind(journal.path) == []


def failing(operation: str, *errors: ApiError) -> Callable[[VirtualClock], FakeKfp]:
    """A server that answers the first such calls with these errors, and does not carry them out."""

    def server(clock: VirtualClock) -> FakeKfp:
        kfp = FakeKfp(clock)
        kfp.failures[operation] = list(errors)
        return kfp

    return server


NOT_READY = ApiStatusError("UploadPipeline", "upstream connect error.", status=503, hint="x", from_kfp=False)


@pytest.mark.parametrize("operation", ["UploadPipeline", "CreateExperiment"])
@pytest.mark.parametrize("error", [LOST, NOT_READY])
def test_a_preparation_that_was_not_done_is_repeated_after_a_short_look(
    operation: str, error: ApiError, caplog: pytest.LogCaptureFixture
) -> None:
    played = Played(
        {"mode": "EXPERIMENT", "pipelineFileName": "hello.yaml"}, server=failing(operation, error)
    )
    assert played.error is None
    assert set(played.outcomes) == {"succeeded"}
    assert played.kfp.count(operation) == 2
    assert "looking for the object by its name for up to 3 s" in caplog.text
    assert ".;" not in caplog.text


def test_a_prefill_s_row_that_was_not_made_is_made_again() -> None:
    played = Played(
        {"mode": "RANDOM_GETS", "prefill": {"experiments": 2}}, server=failing("CreateExperiment", NOT_READY)
    )
    report = played.told["prefill"]
    assert (report.experiments, report.failed) == (2, 0)


def test_a_prefill_s_run_is_never_created_twice() -> None:
    played = Played({"mode": "RANDOM_GETS", "prefill": {"runs": 2}}, server=failing("CreateRun", NOT_READY))
    report = played.told["prefill"]
    assert (report.runs, report.failed) == (1, 1)
    assert played.kfp.count("CreateRun") == 2


def test_a_creation_is_repeated_as_often_as_the_settings_say() -> None:
    found, _, seconds = adopt(NOT_READY, repeats=2)
    assert found is NOT_READY
    assert seconds == pytest.approx(2 * LOOK_BEFORE_REPEAT_SECONDS + LOOK_FOR_SECONDS)
    assert adopt(NOT_READY, repeats=2, stop_at=1)[2] == pytest.approx(1)


def test_what_a_server_that_answered_has_not_made_is_not_repeated() -> None:
    assert adopt(OF_KFP, None, repeats=2) == (OF_KFP, 1, 0)


def test_a_preparation_that_is_never_done_fails_with_the_creation_s_error() -> None:
    server = failing("CreateExperiment", *[LOST] * 20)
    with pytest.raises((RunnerError, ApiInterrupted), match="the connection was lost"):
        Played({"mode": "EXPERIMENT", "pipelineFileName": "hello.yaml"}, server=server)
