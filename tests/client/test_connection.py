"""Answers that HTTP/1.1 allows, and those that it does not."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.client.messages import RunSpec
from kfp_perf.errors import ApiAnswerError, ApiInterrupted, ApiStatusError

if TYPE_CHECKING:
    from collections.abc import Callable

    Play = Callable[..., Any]
    Behave = Any

RUN = {"run_id": "run-1"}
JSON = b'{"run_id":"run-1"}'
LARGE = RunSpec(name="r", parameters={"large": "x" * 10_000_000})


def _say(*blocks: bytes) -> Any:
    """Write blocks, each by itself, and leave the connection open."""

    async def behave(request: Any, writer: asyncio.StreamWriter) -> None:
        for block in blocks:
            writer.write(block)
            await writer.drain()
            await asyncio.sleep(0)

    return behave


def _connections(it: Any) -> list[Any]:
    """The client's connections that are made and not lost."""
    return [made for pool in it.client._caller.transport._pools.values() for made in pool._made]


async def _get_twice(it: Any) -> list[int]:
    """Get a run twice; return the connections that were used."""
    for _ in range(2):
        assert (await it.client.get_run("run-1")).run_id == "run-1"
    assert [sample.status for sample in it.samples] == [200, 200]
    return [request.connection for request in it.server.requests]


PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n" + JSON


@pytest.mark.parametrize(
    "blocks",
    [
        [PLAIN],
        [bytes([byte]) for byte in PLAIN],
        [b"HTTP/1.1 100 Continue\r\n\r\n", PLAIN],
        [b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 5\r\n\r\n" + PLAIN],
        [b"HTTP/1.1 200\r\ncontent-LENGTH: 18\r\nX: a\r\nX: b\r\nEmpty:\r\n\r\n" + JSON],
        [b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 18\r\n\r\n" + JSON],
        [
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\n" + JSON[:5],
            b"\r\nd\r\n" + JSON[5:],
            b"\r\n0\r\n",
            b"Trailer: yes\r\n\r\n",
        ],
    ],
    ids=["plain", "byte by byte", "continue", "early hints", "odd fields", "1.0 kept", "chunked"],
)
def test_an_answer_is_read_to_its_end_and_its_connection_used_again(play: Play, blocks: list[bytes]) -> None:
    async def scene(it: Any) -> None:
        assert await _get_twice(it) == [1, 1]
        assert {attempt.received_bytes for attempt in it.attempts} == {len(JSON)}

    play(scene, _say(*blocks))


@pytest.mark.parametrize(
    "block",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 18\r\n\r\n" + JSON,
        b"HTTP/1.0 200 OK\r\nContent-Length: 18\r\n\r\n" + JSON,
        PLAIN + PLAIN,
        PLAIN + b"and something else",
    ],
    ids=["close", "1.0", "two answers", "more than an answer"],
)
def test_a_connection_of_which_the_server_wants_no_more_is_not_used_again(play: Play, block: bytes) -> None:
    async def scene(it: Any) -> None:
        assert await _get_twice(it) == [1, 2]

    play(scene, _say(block))


@pytest.mark.parametrize(
    "head", [b"HTTP/1.0 200 OK", b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity"]
)
def test_an_answer_may_end_with_its_connection(play: Play, behave: Behave, head: bytes) -> None:
    async def scene(it: Any) -> None:
        assert await _get_twice(it) == [1, 2]

    play(scene, behave.raw(head + b"\r\n\r\n" + JSON))


def test_an_answer_that_would_end_with_its_connection_is_cut_by_a_reset(play: Play, behave: Behave) -> None:
    async def begin_and_reset(request: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + JSON)
        await read.wait()
        await behave.reset(request, writer)

    async def scene(it: Any) -> None:
        call = asyncio.ensure_future(it.client.get_run("run-1"))
        while not any(made._blocks for made in _connections(it)):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        read.set()
        await call
        assert [attempt.error for attempt in it.attempts] == ["cut", ""]

    read = asyncio.Event()
    play(scene, begin_and_reset, behave.answer(RUN))


def test_fields_after_the_body_are_not_those_of_the_answer(play: Play) -> None:
    async def scene(it: Any) -> None:
        await it.client.get_run("run-1")
        assert it.clock.waits == [pytest.approx(7.0, abs=0.2)]

    trailing = b"Transfer-Encoding: chunked\r\n\r\n0\r\nRetry-After: 0\r\n\r\n"
    play(scene, _say(b"HTTP/1.1 429 Slow down\r\nRetry-After: 7\r\n" + trailing), _say(PLAIN))


@pytest.mark.parametrize(("first", "second"), [(200, 429), (200, 400), (500, 200)])
def test_only_the_first_answer_counts(play: Play, first: int, second: int) -> None:
    """Else a creation that was done would be repeated, or one that failed be taken for done."""

    async def scene(it: Any) -> None:
        with contextlib.suppress(ApiStatusError):
            await it.client.create_run(RunSpec(name="r"))
        assert [sample.status for sample in it.samples] == [first]
        assert len(it.server.requests) == 1
        await it.client.get_run("run-1")
        assert it.server.requests[1].connection == 2

    answers = [b"HTTP/1.1 %d X\r\nContent-Length: 18\r\n\r\n%b" % (one, JSON) for one in (first, second)]
    play(scene, _say(b"".join(answers)), _say(PLAIN))


def test_an_answer_without_a_body(play: Play) -> None:
    async def scene(it: Any) -> None:
        for _ in range(2):
            with pytest.raises(ApiAnswerError, match="empty answer"):
                await it.client.get_run("run-1")
        assert [request.connection for request in it.server.requests] == [1, 1]

    play(scene, _say(b"HTTP/1.1 204 No Content\r\n\r\n"))


def test_another_protocol_is_not_spoken(play: Play) -> None:
    async def scene(it: Any) -> None:
        with pytest.raises(ApiAnswerError, match="another protocol"):
            await it.client.get_run("run-1")

    play(scene, _say(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"))


def test_what_nobody_asked_for_ends_a_connection(play: Play) -> None:
    told = asyncio.Event()

    async def answer_and_go_on(request: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(PLAIN)
        await told.wait()
        writer.write(PLAIN)

    async def scene(it: Any) -> None:
        await it.client.get_run("run-1")
        (connection,) = _connections(it)
        told.set()
        await connection.lost
        await it.client.get_run("run-1")
        assert [request.connection for request in it.server.requests] == [1, 2]

    play(scene, answer_and_go_on)


@pytest.mark.parametrize("is_told", [True, False], ids=["length", "half-close"])
def test_a_refusal_before_the_whole_body_was_read_is_heard(play: Play, is_told: bool) -> None:
    """Proxies answer 413 as soon as they know the size, and stop reading."""

    async def scene(it: Any) -> None:
        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            served.append(writer)
            await reader.readuntil(b"\r\n\r\n")
            reader._transport.pause_reading()  # type: ignore[attr-defined]
            length = b"Content-Length: 9\r\n" if is_told else b""
            writer.write(b"HTTP/1.1 413 Content Too Large\r\n%b\r\ntoo large" % length)
            if not is_told:
                writer.write_eof()
            await over.wait()
            writer.close()

        it.server.instead = refuse
        for _ in range(2):
            with pytest.raises(ApiStatusError, match="too large"):
                await it.client.create_run(LARGE)
        over.set()
        assert [(attempt.status, attempt.unknown) for attempt in it.attempts] == [(413, False)] * 2
        # What is left of a body would stand before the next request.
        assert len(served) == 2
        assert len(_connections(it)) <= 1

    served: list[Any] = []
    over = asyncio.Event()
    play(scene, None, request_timeout_seconds=5)


def test_what_is_left_of_a_body_does_not_stand_before_the_next_request(play: Play, behave: Behave) -> None:
    async def scene(it: Any) -> None:
        await it.client.get_run("run-1")
        it.server.instead = None
        (connection,) = _connections(it)
        buffer = (socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        connection._transport.get_extra_info("socket").setsockopt(*buffer)
        with pytest.raises(ApiStatusError, match="too large"):
            await it.client.create_run(RunSpec(name="r", parameters={"large": "x" * 250_000}))
        assert not connection.reusable
        await it.client.get_run("run-1")
        assert [sample.status for sample in it.samples] == [200, 413, 200]

    async def refuse_the_second(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(PLAIN)
        await reader.readuntil(b"\r\n\r\n")
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\n\r\ntoo large")
        await over.wait()
        writer.close()

    async def both(it: Any) -> None:
        it.server.instead = refuse_the_second
        await scene(it)
        over.set()

    over = asyncio.Event()
    play(both, behave.answer(RUN), request_timeout_seconds=5)


def test_a_connection_that_is_lost_under_a_large_body(play: Play) -> None:
    async def scene(it: Any) -> None:
        async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.transport.abort()

        it.server.instead = hang_up
        with pytest.raises(ApiInterrupted) as caught:
            await it.client.create_run(LARGE)
        assert caught.value.kind == "reset"
        assert caught.value.outcome_unknown

    play(scene, None)


def test_a_server_that_does_not_read_is_given_up_on(play: Play) -> None:
    async def scene(it: Any) -> None:
        async def sit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            reader._transport.pause_reading()  # type: ignore[attr-defined]
            await over.wait()
            writer.close()

        it.server.instead = sit
        with pytest.raises(ApiInterrupted, match="time limit"):
            await it.client.create_run(LARGE)
        over.set()

    over = asyncio.Event()
    play(scene, None, request_timeout_seconds=0.2)


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_requests_without_a_body(play: Play, behave: Behave, method: str) -> None:
    """A POST says that it is empty, since some proxies ask for a length (RFC 9110, section 8.6)."""

    async def scene(it: Any) -> None:
        await (it.client.terminate_run if method == "POST" else it.client.delete_run)("run-1")
        (request,) = it.server.requests
        assert (request.method, request.headers.get("Content-Length")) == (
            method,
            "0" if method == "POST" else None,
        )

    play(scene, behave.answer({}))
