"""Connections that fail, answers that are cut off, stall or never end: what the error states."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.client import failures
from kfp_perf.client.pool import NotConnected
from kfp_perf.errors import ApiAnswerError, ApiInterrupted, ApiUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    Play = Callable[..., Any]
    Behave = Any


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "the answer is not HTTP", "8888"),
        (b"\x15\x03\x01\x00\x02\x02\x0a", "the answer is not HTTP, but TLS", "https://"),
        (b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00", "but HTTP/2", "gRPC"),
        (b"HTTP/1.1 two hundred\r\n\r\n", "HTTP is malformed: Invalid status code", "proxy"),
        (b"HTTP/1.1 \r\n\r\n", "HTTP is malformed: Invalid status code", "proxy"),
        (b"HTTP/1.1 000 x\r\n\r\n", "HTTP is malformed: 0 is no status", "proxy"),
        (b"HTTP/1.1 200 OK\nA: b\n\n", "HTTP is malformed: Missing expected CR", "proxy"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n", "HTTP is malformed", "proxy"),
        (b"HTTP/1.1 101 X\r\nUpgrade: a\r\nConnection: Upgrade\r\n\r\nx", "another protocol", "WebSocket"),
    ],
)
def test_an_answer_that_is_not_http(
    play: Play, behave: Behave, content: bytes, message: str, hint: str
) -> None:
    async def scene(it: Any) -> None:
        with pytest.raises(ApiAnswerError) as caught:
            await it.client.get_run("run-1")
        assert message in caught.value.message
        assert hint in caught.value.hint

    play(scene, behave.raw(content))


@pytest.mark.parametrize(
    "content",
    [
        b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"run_id":',
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{",
    ],
)
def test_an_answer_that_is_cut_off_is_repeated(play: Play, behave: Behave, content: bytes) -> None:
    async def scene(it: Any) -> None:
        assert (await it.client.get_run("run-1")).run_id == "run-1"
        assert [attempt.error for attempt in it.attempts] == ["cut", ""]
        assert it.samples[0].status == 200

    play(scene, behave.raw(content), behave.answer({"run_id": "run-1"}))


def test_a_head_that_is_cut_off(play: Play, behave: Behave) -> None:
    async def scene(it: Any) -> None:
        with pytest.raises(ApiInterrupted):
            await it.client.get_run("run-1")
        assert [attempt.error for attempt in it.attempts] == ["reset"]

    play(scene, behave.raw(b"HTTP/1.1 200 OK\r\nContent-Le"), retries=0)


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{"])
def test_a_server_that_stalls_is_given_up_on(play: Play, behave: Behave, head: bytes) -> None:
    async def stall(request: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        await asyncio.Event().wait()

    async def scene(it: Any) -> None:
        with pytest.raises(ApiInterrupted, match="KFP_PERF_REQUEST_TIMEOUT_SECONDS"):
            await it.client.get_run("run-1")
        assert [attempt.error for attempt in it.attempts] == ["timeout", "timeout"]

    play(scene, stall, request_timeout_seconds=0.05, retries=1)


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n%b\r\n"),
        (b"", b"Field: %b\r\n"),
    ],
    ids=["body", "fields"],
)
def test_an_endless_answer_is_given_up_on(
    play: Play, monkeypatch: pytest.MonkeyPatch, head: bytes, piece: bytes
) -> None:
    monkeypatch.setattr("kfp_perf.client.connection.LARGEST_ANSWER_BYTES", 2**20)

    async def pour(request: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n" + head)
        while not writer.transport.is_closing():
            writer.write(piece % (b"x" * 65_536))
            await writer.drain()
            await asyncio.sleep(0)

    async def scene(it: Any) -> None:
        with pytest.raises(ApiAnswerError, match="larger"):
            await it.client.get_run("run-1")

    play(scene, pour)


def test_a_large_answer_is_read_whole(play: Play, behave: Behave) -> None:
    async def scene(it: Any) -> None:
        run = await it.client.get_run("run-1")
        assert len(run.display_name) == 5_000_000
        assert it.attempts[0].received_bytes > 5_000_000

    play(scene, behave.answer({"run_id": "run-1", "display_name": "n" * 5_000_000}))


def test_a_name_that_does_not_resolve(play: Play, behave: Behave, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_such_host(*given: Any, **named: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_such_host)

    async def scene(it: Any) -> None:
        with pytest.raises(ApiUnreachable, match=r"kfp\.invalid does not resolve"):
            await it.client.get_run("run-1")
        assert [(attempt.error, attempt.sent) for attempt in it.attempts] == [("dns", 0.0)]

    play(scene, behave.close, KFP_API_HOST="http://kfp.invalid:8888", retries=0)


def test_a_wait_for_a_free_connection_that_is_too_long(play: Play, behave: Behave) -> None:
    async def scene(it: Any) -> None:
        await it.client.get_run("run-1")
        (pool,) = it.client._caller.transport._pools.values()
        held = pool.take()
        with pytest.raises(ApiUnreachable, match="KFP_PERF_MAX_CONNECTIONS"):
            await it.client.get_run("run-1")
        pool.release(held)
        waited = it.attempts[1]
        assert (waited.error, waited.sent, waited.unknown) == ("no_connection", 0.0, False)
        assert len(it.server.requests) == 1

    play(scene, behave.answer({"run_id": "run-1"}), max_connections=1, request_timeout_seconds=0.1)


def _not_connected(cause: Exception) -> NotConnected:
    error = NotConnected("kfp.test", 8888)
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.EMFILE, "descriptors", "ulimit"),
        (errno.EADDRNOTAVAIL, "ports", "KFP_PERF_MAX_CONNECTIONS"),
        (errno.EHOSTUNREACH, "connect", "No route to host"),
    ],
)
def test_what_keeps_from_connecting_is_named(number: int, kind: str, words: str) -> None:
    error = failures.from_exception(
        "GetRun", _not_connected(OSError(number, os.strerror(number))), sent=False
    )
    assert (type(error), error.kind) == (ApiUnreachable, kind)
    assert words in str(error)


def test_a_connection_that_is_not_made_in_time_names_the_limit() -> None:
    error = failures.from_exception("CreateRun", _not_connected(TimeoutError()), sent=False)
    assert (type(error), error.kind, error.outcome_unknown) == (ApiUnreachable, "connect_timeout", False)
    assert "KFP_PERF_CONNECT_TIMEOUT_SECONDS" in error.hint
