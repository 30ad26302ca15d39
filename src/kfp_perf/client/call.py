"""One call of the API: attempts with back-off between them, recorded as one sample.

A call that changes something is repeated only where it certainly was not done: no byte was sent, or the answer was
429. An idempotent call is repeated also after a lost answer, and after a status of `NO_ANSWER`.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypeVar

from kfp_perf.client import failures
from kfp_perf.client.auth import Credentials
from kfp_perf.client.connection import AttemptState
from kfp_perf.client.messages import UNDECODABLE
from kfp_perf.client.transport import Transport
from kfp_perf.errors import NO_ANSWER, ApiError, ApiInterrupted, ApiStatusError, ApiUnreachable
from kfp_perf.log import REQUESTS, correlation_id
from kfp_perf.pacing.drive import held_seconds
from kfp_perf.result.records import Attempt, CallOutcome, Purpose, Sample
from kfp_perf.statistics.random_streams import random_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kfp_perf.client.methods import ApiMethod
    from kfp_perf.config import TestConfig
    from kfp_perf.pacing import Clock, StopSignal

Answer = TypeVar("Answer")

_log = logging.getLogger(__name__)

JSON = "application/json"
FIRST_BACKOFF_SECONDS = 0.2
LONGEST_BACKOFF_SECONDS = 10.0
LONGEST_RETRY_AFTER_SECONDS = 30.0

# A repetition changes neither a certificate, nor a generator that has run out of connections.
_LASTING_KINDS = frozenset({"tls", "no_connection"})
_GIVEN_UP = "kfp-perf stopped waiting for the answer"


class RetryPolicy:
    """At most `retries` repetitions, with exponential back-off and full jitter.

    Full jitter draws each wait uniformly between zero and the bound: "Exponential Backoff And Jitter", AWS
    Architecture Blog, 2015. `seed` makes the waits repeatable.
    """

    def __init__(self, retries: int, seed: int | None = None) -> None:
        self._retries = retries
        self._random = random_stream(seed, "retries")

    def delay(
        self, error: ApiError, attempt: int, *, repeatable: bool, retry_after: float | None
    ) -> float | None:
        """Return how many seconds to wait before the next attempt; None: there is no next attempt.

        `attempt` counts from 1; `retry_after` is the wait that the server requested, in seconds.
        """
        if attempt > self._retries or not may_repeat(error, repeatable=repeatable):
            return None
        bound = min(LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2 ** (attempt - 1))
        drawn = self._random.uniform(0.0, bound)
        if retry_after is None:
            return drawn
        return max(drawn, min(retry_after, LONGEST_RETRY_AFTER_SECONDS))


def may_repeat(error: ApiError, *, repeatable: bool) -> bool:
    """Return whether a call may be repeated after this error; `repeatable`: the call is idempotent."""
    match error:
        case ApiUnreachable():
            return error.kind not in _LASTING_KINDS
        case ApiInterrupted():
            return repeatable and error.kind not in _LASTING_KINDS
        case ApiStatusError(status=429):
            return True
        case ApiStatusError():
            return repeatable and error.status in NO_ANSWER
    return False


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Return the seconds of a Retry-After header: a number or a date (RFC 9110, 10.2.3), else None."""
    if value is None:
        return None
    text = value.strip()
    if text.isdecimal() and text.isascii():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
        seconds = moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() - now
    except (ValueError, OverflowError):
        return None
    return max(0.0, seconds)


class _RequestId(str):
    """The id of a request while it is the log's correlation id; `outer` is the one before it."""

    __slots__ = ("outer",)
    outer: str


class Caller:
    """Makes calls: repeats what may be repeated, records each call as a `Sample`, and raises its `ApiError`.

    Calls of the load are repeated at most `KFP_PERF_LOAD_RETRIES` times, all others `KFP_PERF_RETRIES` times. A 401
    is repeated once more for every purpose, where the token was renewed meanwhile.
    """

    def __init__(
        self,
        config: TestConfig,
        clock: Clock,
        record: Callable[[Sample], None],
        correlation: str,
        seed: int | None,
        stop: StopSignal | None,
    ) -> None:
        self.url = config.KFP_url
        self.retries = 0
        self.backoff_seconds = 0.0
        self.transport = Transport(config)
        self._clock = clock
        self._record = record
        self._correlation = correlation
        self._numbers = itertools.count(1)
        self._credentials = Credentials(config)
        self.redact = self._credentials.redact
        self._policy = RetryPolicy(config.retries, seed)
        self._load_policy = RetryPolicy(config.load_retries, seed)
        self._stop = stop

    async def call(
        self,
        operation: ApiMethod[Answer],
        path: str,
        purpose: Purpose,
        *,
        due: float | None = None,
        body: bytes | None = None,
        content_type: str = JSON,
        variant: str = "",
        on_sample: Callable[[Sample], None] | None = None,
    ) -> Answer:
        """Make one call and return its decoded answer; `path` begins with a slash and is encoded.

        `due` is in seconds since the Unix epoch (None: now). `on_sample` is given the call's sample as well.
        """
        now = self._clock.now
        held, due = (0.0, now()) if due is None else (held_seconds.get(), due)
        attempts: list[Attempt] = []
        outcome = CallOutcome.CUT_OFF
        renewed = may_be_done = False
        policy = self._load_policy if purpose is Purpose.LOAD else self._policy
        # The clean-up follows a stop, so a stop does not shorten its retries.
        stop = None if purpose is Purpose.CLEANUP else self._stop
        try:
            while True:
                state = AttemptState(now)
                credentials = self._credentials.headers()
                try:
                    answer = await self._attempt(
                        operation, path, state, attempts, credentials, body, content_type
                    )
                except ApiError as error:
                    if may_be_done and error.work_ended and error.status in operation.done_statuses:
                        outcome = CallOutcome.ANSWERED
                        return operation.decoder.decode(b"{}")
                    outcome = CallOutcome.FAILED
                    delay = None
                    if error.status == 401 and not renewed:
                        renewed = await self._credentials.renewed_since(credentials)
                        delay = 0.0 if renewed else None
                    else:
                        delay = policy.delay(
                            error,
                            len(attempts) - renewed,
                            repeatable=operation.repeatable,
                            retry_after=parse_retry_after(state.retry_after, now()),
                        )
                    if delay is None:
                        raise
                    may_be_done = may_be_done or error.outcome_unknown
                    await self._back_off(delay, stop)
                    if stop is not None and stop.is_set():
                        raise
                    self.retries += 1
                    outcome = CallOutcome.CUT_OFF
                else:
                    outcome = CallOutcome.ANSWERED
                    return answer
        finally:
            ended = attempts[-1].ended if attempts else now()
            sample = Sample(operation.name, due, ended, tuple(attempts), outcome, purpose, variant, held)
            if on_sample is not None:
                on_sample(sample)
            self._record(sample)

    async def _attempt(
        self,
        operation: ApiMethod[Answer],
        path: str,
        state: AttemptState,
        attempts: list[Attempt],
        credentials: Mapping[str, str],
        body: bytes | None,
        content_type: str,
    ) -> Answer:
        """Make one attempt, and append it to `attempts`."""
        request_id = f"{self._correlation}-{next(self._numbers)}"
        headers = {**credentials, "X-Request-Id": request_id}
        if body is not None:
            headers["Content-Type"] = content_type
        try:
            reply = await self.transport.exchange(state, operation.method, path, headers, body)
        except asyncio.CancelledError:
            failed = ApiInterrupted if state.sent else ApiUnreachable
            given_up = failed(operation.name, _GIVEN_UP, kind="cancelled")
            self._append(operation, attempts, state, given_up, request_id)
            raise
        except failures.OF_TRANSPORT as failure:
            error = failures.from_exception(operation.name, failure, sent=bool(state.sent))
        else:
            if 200 <= state.status < 300:
                began = state.now()
                try:
                    answer = operation.decoder.decode(reply.content)
                except UNDECODABLE as cause:
                    error = failures.not_kfp(
                        operation.name,
                        state.status,
                        self._credentials.hide(reply.content),
                        redact=self.redact,
                        cause=cause,
                        encoding=reply.field("Content-Encoding"),
                    )
                else:
                    self.transport.connection_counters.decode_seconds += state.now() - began
                    self._append(operation, attempts, state, None, request_id)
                    return answer
            else:
                state.retry_after = reply.field("Retry-After")
                error = failures.from_status(
                    operation.name,
                    state.status,
                    reply.field("Location"),
                    self._credentials.hide(reply.content),
                    credentials_given=self._credentials.given,
                    redact=self.redact,
                )
        self._append(operation, attempts, state, error, request_id)
        raise error

    def _append(
        self,
        operation: ApiMethod[Answer],
        attempts: list[Attempt],
        state: AttemptState,
        error: ApiError | None,
        request_id: str,
    ) -> None:
        """Append an attempt that has ended, and log it with its id.

        After a failure the id remains that of the log, for what the caller logs about it.
        """
        ended = state.ended or self._clock.now()
        if error is None:
            attempt = Attempt(state.sent, ended, state.status, received_bytes=state.received_bytes)
        else:
            unknown = error.outcome_unknown and not operation.repeatable
            attempt = Attempt(
                state.sent, ended, state.status, error.kind, error.message, unknown, state.received_bytes
            )
        attempts.append(attempt)
        is_logged = _log.isEnabledFor(REQUESTS)
        outer = correlation_id.get()
        if isinstance(outer, _RequestId):
            outer = outer.outer
            correlation_id.set(outer)
        if is_logged or error is not None:
            logged_id = _RequestId(request_id)
            logged_id.outer = outer
            correlation_id.set(logged_id)
        if is_logged:
            _log.log(
                REQUESTS,
                "%s %s%s in %.1f ms",
                operation.name,
                attempt.status or "no answer",
                f" {attempt.error}" if error else "",
                1e3 * attempt.service_seconds,
            )
            if error is None:
                correlation_id.set(outer)

    async def _back_off(self, delay: float, stop: StopSignal | None) -> None:
        """Wait before the next attempt, and count the wait."""
        if delay <= 0:
            return
        began = self._clock.now()
        await self._clock.sleep_until(began + delay, stop)
        self.backoff_seconds += self._clock.now() - began
