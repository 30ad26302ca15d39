"""The emulator's own API about the API server: truth, faults, outcomes of tasks, restarts, its OpenAPI document."""

from __future__ import annotations

import asyncio
from dataclasses import fields
from typing import TYPE_CHECKING

import msgspec

from kfp_emulator.cluster.outcomes import Outcome
from kfp_emulator.protocol.errors import JSON_HEADER, Answer, ApiFault, Code
from kfp_emulator.server.faults import UNREADABLE, FaultError, read_rules

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kfp_emulator.protocol.call import Call
    from kfp_emulator.server.state import Backend

_METRICS_HEADER = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8; escaping=underscores")


def _json(document: object) -> Answer:
    return Answer(200, msgspec.json.encode(document), (JSON_HEADER,))


def _refuse(message: str) -> ApiFault:
    return ApiFault(Code.INVALID_ARGUMENT, message, message)


async def metrics(backend: Backend, _call: Call) -> Answer:
    """GET /metrics."""
    return Answer(200, backend.metrics.prometheus().encode(), (_METRICS_HEADER,))


async def truth(backend: Backend, call: Call) -> AsyncIterator[bytes]:
    """GET /emulator/v1/truth?since=N&follow=true&run_id=ID: events as lines of JSON."""
    since = call.text("since") or "0"
    if not (since.isascii() and since.isdigit() and len(since) < 19):
        raise _refuse("since must be the number of an event")
    return backend.truth.stream(int(since), follow=call.boolean("follow"), run_id=call.text("run_id"))


async def server(backend: Backend, _call: Call) -> Answer:
    """GET /emulator/v1/server: what the server did so far, and its clocks."""
    return _json(
        {
            "requests": backend.metrics.requests(),
            "requests_in_flight": backend.metrics.in_flight - 1,
            "runs_in_flight": backend.cluster.in_flight(),
            "runs": backend.store.total("runs"),
            "faults_injected": backend.faults.injected(),
            "truth_oldest": backend.truth.oldest,
            "truth_next": backend.truth.next,
            "now_us": backend.clock.now(),
            "clock_offset_us": backend.time.offset_microseconds,
            "cluster_clock_offset_us": backend.cluster_time.offset_microseconds,
        }
    )


async def list_faults(backend: Backend, _call: Call) -> Answer:
    """GET /emulator/v1/faults: the rules that are on, and how often each was applied."""
    return _json({"faults": backend.faults.describe(), "injected": backend.faults.injected()})


async def add_faults(backend: Backend, call: Call) -> Answer:
    """POST /emulator/v1/faults: switch rules on from now; answers their ids."""
    try:
        rules = read_rules(call.body)
    except FaultError as error:
        raise _refuse(str(error)) from None
    return _json({"ids": backend.faults.add(rules, backend.clock.now())})


async def remove_faults(backend: Backend, call: Call) -> Answer:
    """DELETE /emulator/v1/faults and /faults/{id}: switch all rules off, or one."""
    number = call.path.get("id")
    if number is None:
        return _json({"removed": backend.faults.remove()})
    removed = (
        backend.faults.remove(int(number))
        if number.isascii() and number.isdigit() and len(number) < 19
        else 0
    )
    if not removed:
        raise ApiFault(Code.NOT_FOUND, "there is no such fault", "there is no such fault")
    return _json({"removed": removed})


_OUTCOME_FIELDS = frozenset(field.name for field in fields(Outcome))


async def list_outcomes(backend: Backend, _call: Call) -> Answer:
    """GET /emulator/v1/outcomes: what is decided about tasks, the oldest first."""
    return _json({"outcomes": backend.cluster.outcomes()})


async def add_outcomes(backend: Backend, call: Call) -> Answer:
    """POST /emulator/v1/outcomes: a list of what tasks give, and how they end; see Outcome."""
    try:
        document = msgspec.json.decode(call.body)
        rules = document if isinstance(document, list) else []
        unknown = {key for rule in rules if isinstance(rule, dict) for key in rule} - _OUTCOME_FIELDS
        if unknown:
            raise _refuse(
                f"unknown fields: {', '.join(sorted(unknown))}; known: {', '.join(sorted(_OUTCOME_FIELDS))}"
            )
        outcomes = msgspec.convert(document, list[Outcome])
    except UNREADABLE as error:
        raise _refuse(str(error)) from None
    for outcome in outcomes:
        backend.cluster.set_outcome(outcome)
    return _json({})


async def clear_outcomes(backend: Backend, _call: Call) -> Answer:
    """DELETE /emulator/v1/outcomes."""
    backend.cluster.clear_outcomes()
    return _json({})


class _RestartRequest(msgspec.Struct, forbid_unknown_fields=True):
    outage_seconds: float = 1.0
    forget: bool = False


async def restart(backend: Backend, call: Call) -> Answer:
    """POST /emulator/v1/restart: answer, then refuse connections for a while."""
    try:
        wanted = msgspec.json.decode(call.body or b"{}", type=_RestartRequest)
    except UNREADABLE as error:
        raise _refuse(str(error)) from None
    if not 0 <= wanted.outage_seconds <= 3600:
        raise _refuse("outage_seconds must lie between 0 and 3600")
    loop = asyncio.get_running_loop()
    loop.call_later(0.05, lambda: backend.restart(wanted.outage_seconds, forget=wanted.forget))
    return _json({})


async def get_openapi(backend: Backend, _call: Call) -> Answer:
    """GET /emulator/v1/openapi.json."""
    return Answer(200, backend.openapi, (JSON_HEADER,))
