"""One call of the API: attempts, each of them a sample, with back-off between them."""

from __future__ import annotations

import asyncio
import itertools
import logging
from typing import TYPE_CHECKING, TypeVar

from kfp_perf.client import failures
from kfp_perf.client.attempt import Attempt
from kfp_perf.client.auth import Credentials
from kfp_perf.client.proto_json import UNDECODABLE
from kfp_perf.client.retry import RetryPolicy, parse_retry_after
from kfp_perf.client.transport import Transport
from kfp_perf.errors import ApiError, ApiInterrupted, ApiUnreachable
from kfp_perf.log import REQUESTS
from kfp_perf.pacing.drive import held_back
from kfp_perf.result.records import Purpose, Sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_perf.client.base import Exchange
    from kfp_perf.client.methods import Operation
    from kfp_perf.config import TestConfig
    from kfp_perf.pacing import Clock, StopSignal

Answer = TypeVar("Answer")

_log = logging.getLogger(__name__)

JSON = "application/json"
_GIVEN_UP = "kfp-perf stopped waiting for the answer"


class Wire:
    """Makes calls: repeats what may be repeated, records every attempt, and raises an `ApiError` at the end."""

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
        self._stop = stop

    async def call(
        self,
        operation: Operation[Answer],
        path: str,
        purpose: Purpose,
        *,
        due: float | None = None,
        body: bytes | None = None,
        content_type: str = JSON,
        exchange: Exchange | None = None,
    ) -> Answer:
        """Make one call: `path` begins with a slash, is encoded, and follows the base URL."""
        now = self._clock.now
        attempt = Attempt(1, now() if due is None else due, now)
        attempt.held = 0.0 if due is None else held_back.get()
        may_be_done = False
        # A runner cleans up when it was asked to stop, so that has to be as patient as ever.
        stop = None if purpose is Purpose.CLEANUP else self._stop
        while True:
            try:
                return await self._try(operation, path, purpose, attempt, body, content_type)
            except ApiError as error:
                if may_be_done and error.status in operation.done_statuses:
                    return operation.decoder.decode(b"{}")
                delay = self._delay(operation, attempt, error)
                if delay is None:
                    raise
                may_be_done = may_be_done or error.outcome_unknown
                last = error
            finally:
                if exchange is not None:
                    exchange.due, exchange.sent, exchange.ended = attempt.due, attempt.sent, attempt.ended
                    exchange.attempts = attempt.number
            waited = await self._back_off(delay, stop)
            if exchange is not None:
                exchange.backoff_seconds += waited
            if stop is not None and stop.is_set():
                raise last
            self.retries += 1
            attempt = Attempt(attempt.number + 1, now(), now)

    async def _try(
        self,
        operation: Operation[Answer],
        path: str,
        purpose: Purpose,
        attempt: Attempt,
        body: bytes | None,
        content_type: str,
    ) -> Answer:
        """Make one attempt, and record it."""
        headers = {
            **self._credentials.headers(),
            "X-Request-Id": f"{self._correlation}-{next(self._numbers)}",
        }
        if body is not None:
            headers["Content-Type"] = content_type
        try:
            reply = await self.transport.exchange(attempt, operation.method, path, headers, body)
        except asyncio.CancelledError:
            failed = ApiInterrupted if attempt.sent else ApiUnreachable
            self._note(operation, purpose, attempt, failed(operation.name, _GIVEN_UP, kind="cancelled"))
            raise
        except failures.OF_TRANSPORT as failure:
            error = failures.from_exception(operation.name, failure, sent=bool(attempt.sent))
        else:
            if 200 <= attempt.status < 300:
                began = attempt.now()
                try:
                    answer = operation.decoder.decode(reply.content)
                except UNDECODABLE as cause:
                    error = failures.not_kfp(
                        operation.name,
                        attempt.status,
                        self._credentials.hide(reply.content),
                        redact=self.redact,
                        cause=cause,
                        encoding=reply.field("Content-Encoding"),
                    )
                else:
                    self.transport.burden.decode_seconds += attempt.now() - began
                    self._note(operation, purpose, attempt, None)
                    return answer
            else:
                attempt.retry_after = reply.field("Retry-After")
                error = failures.from_status(
                    operation.name,
                    attempt.status,
                    reply.field("Location"),
                    self._credentials.hide(reply.content),
                    credentials_given=self._credentials.given,
                    redact=self.redact,
                )
        self._note(operation, purpose, attempt, error)
        raise error

    def _note(
        self,
        operation: Operation[Answer],
        purpose: Purpose,
        attempt: Attempt,
        error: ApiError | None,
    ) -> None:
        """Record an attempt that has ended."""
        if not attempt.ended:
            attempt.ended = self._clock.now()
        sample = Sample(
            operation.name,
            attempt.due,
            attempt.sent,
            attempt.ended,
            attempt.status,
            "" if error is None else error.kind,
            error is not None and error.outcome_unknown and not operation.repeatable,
            attempt.number,
            purpose,
            attempt.received_bytes,
            message="" if error is None else error.message,
            held=attempt.held,
        )
        self._record(sample)
        if _log.isEnabledFor(REQUESTS):
            _log.log(
                REQUESTS,
                "%s %s%s in %.1f ms",
                operation.name,
                attempt.status or "no answer",
                f" {sample.error}" if error else "",
                1e3 * sample.latency_seconds,
            )

    def _delay(self, operation: Operation[Answer], attempt: Attempt, error: ApiError) -> float | None:
        """How long to wait before the next attempt; None: there is none."""
        if error.status == 401 and attempt.number == 1 and self._credentials.renew():
            return 0.0
        return self._policy.delay(
            error,
            attempt.number,
            repeatable=operation.repeatable,
            retry_after=parse_retry_after(attempt.retry_after, self._clock.now()),
        )

    async def _back_off(self, delay: float, stop: StopSignal | None) -> float:
        """Wait, and count the wait."""
        if delay <= 0:
            return 0.0
        began = self._clock.now()
        await self._clock.sleep_until(began + delay, stop)
        waited = self._clock.now() - began
        self.backoff_seconds += waited
        return waited
