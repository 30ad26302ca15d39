"""Samples as the client would record them, from a few numbers."""

from __future__ import annotations

from typing import Any

from kfp_perf.result.records import Attempt, CallOutcome, Purpose, Sample


def made_sample(
    operation: str,
    due: float,
    sent: float,
    ended: float,
    status: int = 200,
    error: str = "",
    *,
    unknown: bool = False,
    message: str = "",
    purpose: Purpose = Purpose.LOAD,
    earlier: tuple[Attempt, ...] = (),
    **fields: Any,
) -> Sample:
    """An operation whose last attempt was sent and ended then; it failed if it has an `error`."""
    attempt = Attempt(sent, ended, status, error, message, unknown)
    fields.setdefault("outcome", CallOutcome.FAILED if error else CallOutcome.ANSWERED)
    return Sample(operation, due, ended, (*earlier, attempt), purpose=purpose, **fields)
