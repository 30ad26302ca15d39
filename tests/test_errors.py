from __future__ import annotations

import pickle

import pytest

from kfp_perf.errors import (
    ApiAnswerError,
    ApiError,
    ApiInterrupted,
    ApiStatusError,
    ApiUnreachable,
    ExitCode,
    GeneratorSaturated,
    InputError,
    KfpPerfError,
    Problem,
    RunnerError,
    TargetError,
    TestInterrupted,
)


@pytest.mark.parametrize(
    ("codes", "worst"),
    [
        ([], ExitCode.GOOD),
        ([ExitCode.GOOD, ExitCode.FAILED], ExitCode.FAILED),
        ([ExitCode.FAILED, ExitCode.INVALID], ExitCode.INVALID),
        ([ExitCode.INVALID, ExitCode.TARGET], ExitCode.TARGET),
        ([ExitCode.TARGET, ExitCode.INTERRUPTED], ExitCode.INTERRUPTED),
        ([ExitCode.INTERRUPTED, ExitCode.BAD_INPUT], ExitCode.BAD_INPUT),
    ],
)
def test_where_several_codes_hold_the_most_telling_wins(codes: list[ExitCode], worst: ExitCode) -> None:
    assert ExitCode.worst(codes) is worst
    assert ExitCode.worst(reversed(codes)) is worst


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError(Problem("a", "b")), 2),
        (TargetError("gone", "look"), 3),
        (TestInterrupted("stopped"), 4),
        (RunnerError("failed"), 1),
        (ApiUnreachable("GetRun", "refused", kind="refused"), 1),
        (ApiStatusError("CreateRun", "Run name cannot be empty", status=500, hint="give one"), 1),
        (ApiStatusError("CreateRun", "stream timeout", status=500, from_kfp=False), 1),
    ],
)
def test_each_error_has_its_exit_code_and_survives_another_process(error: KfpPerfError, code: int) -> None:
    assert error.exit_code == code
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert copy.__dict__ == error.__dict__


@pytest.mark.parametrize(
    ("error", "unknown"),
    [
        (ApiUnreachable("CreateRun", ""), False),
        (ApiInterrupted("CreateRun", ""), True),
        (ApiAnswerError("CreateRun", "", status=200), True),
    ],
)
def test_only_a_request_that_was_not_sent_cannot_have_been_done(error: ApiError, unknown: bool) -> None:
    assert error.outcome_unknown is unknown
    assert error.work_ended is not unknown


def statuses(*, from_kfp: bool, unknown: bool, ended: bool) -> set[int]:
    """The error statuses after which these are the properties of a failed creation."""
    return {
        status
        for status in range(300, 600)
        for error in [ApiStatusError("CreateRun", "", status=status, from_kfp=from_kfp)]
        if (error.outcome_unknown, error.work_ended) == (unknown, ended)
    }


REFUSALS = {400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 501}
NO_ANSWER = {408, 499, 502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 527}


def test_only_refusals_by_kfp_itself_prove_that_nothing_was_done() -> None:
    assert statuses(from_kfp=True, unknown=False, ended=True) == REFUSALS
    assert statuses(from_kfp=True, unknown=True, ended=False) == NO_ANSWER
    assert 500 in statuses(from_kfp=True, unknown=True, ended=True)


def test_of_a_proxy_only_checks_made_before_forwarding_prove_it() -> None:
    assert statuses(from_kfp=False, unknown=False, ended=False) == {401, 413, 429}
    assert statuses(from_kfp=False, unknown=True, ended=True) == set()


def test_the_gravest_error_gives_the_exit_code() -> None:
    errors = [RunnerError("a"), GeneratorSaturated("b"), ValueError("c"), TargetError("d"), RunnerError("e")]
    assert ExitCode.of(errors) is ExitCode.TARGET
    assert ExitCode.of(errors[:3]) is ExitCode.INVALID
    assert ExitCode.of([errors[2]]) is ExitCode.FAILED


def test_the_text_of_an_error_says_what_where_and_what_to_do() -> None:
    many = InputError([Problem("f.json: $[0].mode", "is missing", "Write one of X, Y."), Problem("", "odd")])
    assert str(many) == "f.json: $[0].mode: is missing\n    Write one of X, Y.\nodd"
    api = ApiStatusError("GetRun", "Run x not found", status=404, hint="Was it deleted?")
    assert str(api) == "GetRun failed (HTTP 404): Run x not found\n    Was it deleted?"
