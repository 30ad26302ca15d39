"""Which calls are repeated, which are not, and how that is reported."""

from __future__ import annotations

import asyncio
import gc
import socket
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.client import RestClient
from kfp_perf.client.call import (
    FIRST_BACKOFF_SECONDS,
    LONGEST_BACKOFF_SECONDS,
    LONGEST_RETRY_AFTER_SECONDS,
    RetryPolicy,
    parse_retry_after,
)
from kfp_perf.client.messages import RunSpec
from kfp_perf.config import TestConfig
from kfp_perf.errors import ApiInterrupted, ApiStatusError, ApiUnreachable
from kfp_perf.pacing import RealClock
from kfp_perf.result.records import CallOutcome, Purpose
from kfp_perf.runners import create_runner
from kfp_perf.scenario.model import TestScenario

if TYPE_CHECKING:
    from collections.abc import Callable

    Play = Callable[..., Any]
    Behave = Any

RUN = {"run_id": "run-1", "display_name": "r", "state": "PENDING"}
SPEC = RunSpec(name="r")
_ALWAYS: dict[str, Any] = {"repeatable": True, "retry_after": None}


def _error(code: int, message: str) -> dict[str, Any]:
    """An error document of KFP."""
    return {"error": message, "code": code, "message": message, "details": []}


def _outcome(samples: list[Any]) -> list[tuple[int, int, str, bool]]:
    return [
        (number, attempt.status, attempt.error, attempt.unknown)
        for sample in samples
        for number, attempt in enumerate(sample.attempts, 1)
    ]


@pytest.mark.parametrize("fault", ["close", "reset"])
def test_a_get_is_repeated_after_a_lost_connection(play: Play, behave: Behave, fault: str) -> None:
    async def scene(it: Any) -> None:
        run = await it.client.get_run("run-1")
        assert run.run_id == "run-1"
        assert _outcome(it.samples) == [(1, 0, "reset", False), (2, 200, "", False)]
        assert it.client.retries == len(it.server.requests) - 1 == 1

    play(scene, getattr(behave, fault), behave.answer(RUN))


def test_no_repetition_hides_in_a_latency(play: Play, behave: Behave) -> None:
    """HTTP clients are used to repeat a GET when a kept connection turns out to be closed, and not to say so."""

    async def scene(it: Any) -> None:
        await it.client.get_run("run-1")
        await it.client.get_run("run-1")
        assert len(it.server.requests) == len(it.attempts) == 3
        assert _outcome(it.samples)[1] == (1, 0, "reset", False)

    play(scene, behave.answer(RUN), behave.close, behave.answer(RUN))


@pytest.mark.parametrize("fault", ["close", "reset"])
def test_a_creation_that_may_have_been_done_is_never_repeated(play: Play, behave: Behave, fault: str) -> None:
    async def scene(it: Any) -> None:
        with pytest.raises(ApiInterrupted) as caught:
            await it.client.create_run(SPEC)
        assert caught.value.outcome_unknown
        assert len(it.server.requests) == 1
        assert _outcome(it.samples) == [(1, 0, "reset", True)]
        assert it.samples[0].sent > 0

    play(scene, getattr(behave, fault), behave.answer(RUN))


def test_a_creation_whose_kept_connection_is_reset_on_arrival_is_unknown(play: Play, behave: Behave) -> None:
    async def scene(it: Any) -> None:
        await it.client.get_run("run-1")
        with pytest.raises(ApiInterrupted):
            await it.client.create_run(SPEC)
        assert [request.connection for request in it.server.requests] == [1, 1]
        assert _outcome(it.samples)[1:] == [(1, 0, "reset", True)]

    play(scene, behave.answer(RUN), behave.reset, behave.answer(RUN))


def test_a_creation_is_not_written_to_a_connection_that_its_peer_has_closed(
    play: Play, behave: Behave
) -> None:
    """The kernel has the close before the event loop does; so the outcome need not be unknown."""

    async def scene(it: Any) -> None:
        await it.client.get_run("run-1")
        # Within one turn of the loop: the server's side closes, and our loop has not heard of it.
        served.shutdown(socket.SHUT_WR)
        run = await it.client.create_run(SPEC)
        assert run.run_id == "run-1"
        assert [request.connection for request in it.server.requests] == [1, 2]
        assert _outcome(it.samples)[1:] == [(1, 200, "", False)]

    served: Any = None

    async def answer(request: Any, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        served = served or socket.socket(fileno=socket.dup(writer.get_extra_info("socket").fileno()))
        await behave.answer(RUN)(request, writer)

    play(scene, answer)
    served.close()


def test_a_refused_creation_is_repeated_since_no_byte_was_sent(unused_port: int) -> None:
    async def main() -> None:
        samples: list[Any] = []
        listener = None

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"}")
            writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{"run_id":"run-1"}')
            writer.close()

        class Clock(RealClock):
            async def sleep_until(self, *given: Any) -> bool:
                nonlocal listener
                if client.retries == 1:
                    listener = await asyncio.start_server(answer, "127.0.0.1", unused_port)
                return bool(await super().sleep_until(*given))

        config = TestConfig(KFP_API_HOST="127.0.0.1", KFP_API_PORT=unused_port, load_retries=3)
        client = RestClient(config, Clock(), samples.append)
        calls: list[Any] = []
        run = await client.create_run(SPEC, on_sample=calls.append)
        assert run.run_id == "run-1"
        refused = (0, "refused", False)
        assert _outcome(samples) == [(1, *refused), (2, *refused), (3, 200, "", False)]
        (sample,) = samples
        assert [attempt.sent for attempt in sample.attempts[:2]] == [0.0, 0.0]
        assert calls == samples
        await client.aclose()
        assert listener is not None
        listener.close()

    asyncio.run(main())


def test_repetitions_end(unused_port: int, play: Play, behave: Behave) -> None:
    async def scene(it: Any) -> None:
        with pytest.raises(ApiUnreachable) as caught:
            await it.client.get_run("run-1")
        assert caught.value.kind == "refused"
        assert not caught.value.outcome_unknown
        assert [len(sample.attempts) for sample in it.samples] == [3]
        assert it.client.retries == 2

    play(scene, behave.close, KFP_API_HOST=f"http://127.0.0.1:{unused_port}", retries=2)


@pytest.mark.parametrize("status", [408, 499, 502, 503, 504, 520, 524, 527])
def test_a_gateways_failure_is_repeated_for_reads_and_leaves_creations_unknown(
    play: Play, behave: Behave, status: int
) -> None:
    async def scene(it: Any) -> None:
        await it.client.get_run("run-1")
        assert _outcome(it.samples) == [(1, status, str(status), False), (2, 200, "", False)]

    play(scene, behave.answer(status=status), behave.answer(RUN))

    async def creation(it: Any) -> None:
        with pytest.raises(ApiStatusError):
            await it.client.create_run(SPEC)
        assert _outcome(it.samples) == [(1, status, str(status), True)]

    play(creation, behave.answer(status=status), behave.answer(RUN))


@pytest.mark.parametrize("status", [400, 403, 404, 409, 500])
def test_a_plain_refusal_is_not_repeated(play: Play, behave: Behave, status: int) -> None:
    async def scene(it: Any) -> None:
        with pytest.raises(ApiStatusError):
            await it.client.get_run("run-1")
        assert _outcome(it.samples) == [(1, status, str(status), False)]

    play(scene, behave.answer(status=status), behave.answer(RUN))


def test_429_is_repeated_for_creations_too_after_the_time_that_the_server_asks_for(
    play: Play, behave: Behave
) -> None:
    async def scene(it: Any) -> None:
        calls: list[Any] = []
        await it.client.create_run(SPEC, on_sample=calls.append)
        assert _outcome(it.samples) == [(1, 429, "429", False), (2, 200, "", False)]
        assert it.clock.waits == [pytest.approx(7.0)]
        assert it.client.backoff_seconds == pytest.approx(7.0, abs=0.1)

    play(scene, behave.answer(status=429, Retry_After="7"), behave.answer(RUN))


def test_calls_of_the_load_are_not_repeated_unless_asked_for(play: Play, behave: Behave) -> None:
    async def scene(it: Any) -> None:
        with pytest.raises(ApiStatusError):
            await it.client.get_run("run-1")
        assert _outcome(it.samples) == [(1, 503, "503", False)]
        await it.client.for_purpose(Purpose.SETUP).get_run("run-1")
        assert _outcome(it.samples[1:]) == [(1, 503, "503", False), (2, 200, "", False)]

    unavailable = behave.answer(status=503)
    play(scene, unavailable, unavailable, behave.answer(RUN), load_retries=0)


def test_a_server_cannot_make_us_wait_for_ever(play: Play, behave: Behave) -> None:
    async def scene(it: Any) -> None:
        await it.client.get_run("run-1")
        assert it.clock.waits == [pytest.approx(LONGEST_RETRY_AFTER_SECONDS)]

    play(scene, behave.answer(status=429, Retry_After="86400"), behave.answer(RUN))


@pytest.mark.parametrize(("purpose", "requests"), [(Purpose.LOAD, 1), (Purpose.CLEANUP, 4)])
def test_a_request_to_stop_ends_back_off_but_not_that_of_the_clean_up(
    play: Play, behave: Behave, purpose: Purpose, requests: int
) -> None:
    async def scene(it: Any) -> None:
        it.stop.set()
        with pytest.raises(ApiStatusError) as caught:
            await it.client.for_purpose(purpose).delete_run("run-1")
        assert caught.value.status == 429
        assert len(it.server.requests) == requests
        assert it.client.retries == len(it.clock.waits) == requests - 1

    play(scene, behave.answer({"error": "slow down"}, status=429, Retry_After="30"))


def test_latency_counts_from_due_with_back_off_and_service_does_not(play: Play, behave: Behave) -> None:
    async def scene(it: Any) -> None:
        due = it.clock.now() - 1.0
        await it.client.get_run("run-1", due=due)
        (sample,) = it.samples
        first, second = sample.attempts
        assert (sample.due, sample.ended, sample.answered) == (due, second.ended, True)
        assert sample.latency_seconds >= 21.0
        assert second.sent >= first.ended + 20.0
        assert second.service_seconds < 20.0
        assert it.client.backoff_seconds == pytest.approx(second.sent - first.ended, abs=0.1)

    play(scene, behave.answer(status=503, Retry_After="20"), behave.answer(RUN))


def test_a_deletion_that_was_done_by_a_lost_attempt_has_succeeded(play: Play, behave: Behave) -> None:
    async def scene(it: Any) -> None:
        await it.client.delete_run("run-1")
        assert _outcome(it.samples) == [(1, 0, "reset", False), (2, 404, "404", False)]

    gone = behave.answer(_error(5, "Run run-1 not found"), status=404)
    play(scene, behave.close, gone)

    async def plain(it: Any) -> None:
        with pytest.raises(ApiStatusError):
            await it.client.delete_run("run-1")

    play(plain, gone)


@pytest.mark.parametrize("body", [b"<html>404 Not Found</html>", {}, {"code": 404, "message": "no route"}])
def test_a_404_of_a_proxy_does_not_show_that_a_lost_attempt_was_done(
    play: Play, behave: Behave, body: Any
) -> None:
    async def scene(it: Any) -> None:
        with pytest.raises(ApiStatusError) as caught:
            await it.client.delete_run("run-1")
        assert not caught.value.says_gone
        assert it.samples[0].outcome is CallOutcome.FAILED

    play(scene, behave.close, behave.answer(body, status=404))


def test_a_termination_that_was_done_by_a_lost_attempt_has_succeeded(play: Play, behave: Behave) -> None:
    async def scene(it: Any) -> None:
        await it.client.terminate_run("run-1")
        assert it.server.requests[0].target == "/apis/v2beta1/runs/run-1:terminate"

    play(scene, behave.reset, behave.answer(_error(9, "The run has ended"), status=400))

    async def of_a_proxy(it: Any) -> None:
        with pytest.raises(ApiStatusError):
            await it.client.terminate_run("run-1")

    play(of_a_proxy, behave.reset, behave.answer(b"<html>Bad Request</html>", status=400))


def test_a_cancelled_call_is_recorded(play: Play, behave: Behave) -> None:
    async def scene(it: Any) -> None:
        call = asyncio.create_task(it.client.create_run(SPEC))
        while not it.server.requests:  # noqa: ASYNC110  the server tells by its list
            await asyncio.sleep(0.001)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert _outcome(it.samples) == [(1, 0, "cancelled", True)]

    play(scene, behave.stall)


def test_a_call_that_is_cancelled_just_as_its_connection_is_lost(
    play: Play, behave: Behave, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(it: Any) -> None:
        call = asyncio.create_task(it.client.create_run(SPEC))
        while not it.server.requests:  # noqa: ASYNC110  the server tells by its list
            await asyncio.sleep(0.001)
        (pool,) = it.client._caller.transport._pools.values()
        (connection,) = pool._made
        connection._finish(None)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert _outcome(it.samples) == [(1, 0, "cancelled", True)]

    play(scene, behave.stall)
    gc.collect()
    assert "never retrieved" not in caplog.text


def test_the_bound_of_the_back_off_doubles_up_to_a_limit() -> None:
    error = ApiUnreachable("GetRun", "refused", kind="refused")
    drawn = {
        attempt: [
            RetryPolicy(20, seed).delay(error, attempt, repeatable=True, retry_after=None)
            for seed in range(200)
        ]
        for attempt in range(1, 12)
    }
    for attempt, delays in drawn.items():
        bound = min(LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2 ** (attempt - 1))
        assert all(0.0 <= delay <= bound for delay in delays if delay is not None)
        assert max(delay for delay in delays if delay is not None) > 0.9 * bound
        assert min(delay for delay in delays if delay is not None) < 0.1 * bound


def test_the_same_seed_waits_the_same() -> None:
    error = ApiUnreachable("GetRun", "refused", kind="refused")
    first, second = RetryPolicy(3, 7), RetryPolicy(3, 7)
    for attempt in (1, 2, 3):
        assert first.delay(error, attempt, **_ALWAYS) == second.delay(error, attempt, **_ALWAYS)
    assert first.delay(error, 4, **_ALWAYS) is None


def test_a_runner_gives_its_seed_to_the_back_off_of_its_client() -> None:
    scenario = {"mode": "RANDOM_GETS", "runTime": 1, "seed": 7}
    runner: Any = create_runner(TestScenario.model_validate(scenario), config=TestConfig())
    error = ApiUnreachable("GetRun", "refused", kind="refused")
    expected = RetryPolicy(3, 7).delay(error, 1, **_ALWAYS)
    assert runner.client._caller._policy.delay(error, 1, **_ALWAYS) == expected


@pytest.mark.parametrize("kind", ["tls", "no_connection"])
def test_what_trying_again_cannot_mend_is_not_tried_again(kind: str) -> None:
    error = ApiUnreachable("GetRun", "no", kind=kind)
    assert RetryPolicy(3).delay(error, 1, **_ALWAYS) is None


def test_a_date_that_cannot_be_is_no_date() -> None:
    assert parse_retry_after("Fri, 31 Dec 2027 23:59:59 99999999999999999999", 0.0) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(None, None), ("5", 5.0), (" 0 ", 0.0), ("soon", None), ("-1", None), ("1.5", None), ("٣", None)],
)
def test_retry_after_is_read(text: str | None, seconds: float | None) -> None:
    assert parse_retry_after(text, 0.0) == seconds


def test_retry_after_may_be_a_date() -> None:
    now = 1_790_000_000.0
    assert parse_retry_after(formatdate(now + 12, usegmt=True), now) == 12.0
    assert parse_retry_after(formatdate(now - 12, usegmt=True), now) == 0.0
