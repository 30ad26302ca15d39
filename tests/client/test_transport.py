from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.client import RestClient
from kfp_perf.client.messages import RunSpec
from kfp_perf.config import TestConfig
from kfp_perf.errors import ApiStatusError
from kfp_perf.log import REQUESTS, correlation_id
from kfp_perf.pacing import RealClock
from kfp_perf.result.records import Purpose

if TYPE_CHECKING:
    from collections.abc import Callable

    Play = Callable[..., Any]
    Behave = Any

RUN = {"run_id": "run-1"}


def test_connections_are_used_again(play: Play, behave: Behave) -> None:
    async def scene(it: Any) -> None:
        for _ in range(5):
            await it.client.get_run("run-1")
        await it.client.create_run(RunSpec(name="r"))
        await it.client.for_purpose(Purpose.OBSERVE).get_run("run-1")
        assert it.server.connections == 1
        assert [sample.purpose for sample in it.samples] == [Purpose.LOAD] * 6 + [Purpose.OBSERVE]

    play(scene, behave.answer(RUN))


def test_there_are_never_more_connections_than_allowed_and_the_wait_is_lateness(
    play: Play, behave: Behave
) -> None:
    async def slow(request: Any, writer: Any) -> None:
        await asyncio.sleep(0.01)
        await behave.answer(RUN)(request, writer)

    async def scene(it: Any) -> None:
        due = it.clock.now()
        await asyncio.gather(*(it.client.get_run("run-1", due=due) for _ in range(9)))
        assert it.server.connections == 3
        late = sorted(sample.lateness_seconds or 0.0 for sample in it.samples)
        # Three leave at once, three when those are back, and three after them.
        assert late[3] > late[2] + 0.005
        assert late[6] > late[5] + 0.005
        served = [attempt.service_seconds for attempt in it.attempts]
        assert min(served) >= 0.008  # uvloop's timers may be a millisecond early
        assert all(sample.due == due for sample in it.samples)

    play(scene, slow, max_connections=3)


def test_sent_is_after_the_connection_and_before_the_server_has_the_request(
    play: Play, behave: Behave
) -> None:
    arrived: list[float] = []
    connected: list[float] = []

    async def scene(it: Any) -> None:
        it.server.on_connect = lambda _: connected.append(it.clock.now())

        async def note(request: Any, writer: Any) -> None:
            arrived.append(it.clock.now())
            await behave.answer(RUN)(request, writer)

        it.server.script = [note]
        await it.client.get_run("run-1")
        await it.client.create_run(RunSpec(name="r"))
        await it.client.create_run(RunSpec(name="r", parameters={"large": "x" * 10_000_000}))
        for sample, arrival in zip(it.samples, arrived, strict=True):
            assert sample.due < sample.sent < arrival < sample.ended
        # What it takes to connect is lateness; and a large body is on its way for long after the headers.
        assert it.samples[0].sent - it.samples[0].due > 0
        assert it.attempts[2].service_seconds > it.attempts[1].service_seconds

    play(scene, behave.answer(RUN))


def test_every_event_loop_has_connections_of_its_own() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.add(writer.get_extra_info("peername"))
        with contextlib.suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{"run_id":"run-1"}')
        writer.close()
        await writer.wait_closed()
        ended.release()

    async def serve() -> None:
        listener = await asyncio.start_server(handle, "127.0.0.1", 0)
        address.append(listener.sockets[0].getsockname()[1])
        ready.set()
        await asyncio.to_thread(done.wait)
        listener.close()
        for _ in peers:
            await ended.acquire()

    async def use() -> None:
        for _ in range(3):
            await client.get_run("run-1")
        await client.aclose()
        await client.aclose()

    peers: set[Any] = set()
    ended = asyncio.Semaphore(0)
    address: list[int] = []
    ready, done = threading.Event(), threading.Event()
    server = threading.Thread(target=lambda: asyncio.run(serve()))
    server.start()
    ready.wait()
    try:
        client = RestClient(TestConfig(KFP_API_HOST="127.0.0.1", KFP_API_PORT=address[0]), RealClock())
        for _ in range(2):
            asyncio.run(use())
        assert len(peers) == 2
    finally:
        done.set()
        server.join()


def test_small_writes_are_not_held_back(play: Play, behave: Behave) -> None:
    """Nagle's algorithm would cost some 40 ms a request; TCP_NODELAY switches it off."""

    async def scene(it: Any) -> None:
        await it.client.get_run("run-1")
        (pool,) = it.client._caller.transport._pools.values()
        (connection,) = pool._made
        sock = connection._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    play(scene, behave.answer(RUN))


def test_the_base_url_may_hold_a_path(play: Play, behave: Behave) -> None:
    async def scene(it: Any) -> None:
        await it.client.get_run("run-1")
        assert it.server.requests[0].target == "/pipeline/apis/v2beta1/runs/run-1"

    play(scene, behave.answer(RUN), path="/pipeline/")


def test_compressed_answers_are_not_asked_for(play: Play, behave: Behave) -> None:
    """A proxy that compresses would be measured, and unpacking costs us time."""

    async def scene(it: Any) -> None:
        await it.client.get_run("run-1")
        assert it.server.requests[0].headers["Accept-Encoding"] == "identity"
        assert it.server.requests[0].headers["User-Agent"].startswith("kfp-perf/")

    play(scene, behave.answer(RUN))


def test_a_log_line_has_the_id_of_its_request(play: Play, behave: Behave) -> None:
    lines: list[tuple[str, str]] = []

    class Noted(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append((record.getMessage().split()[1], correlation_id.get()))

    async def scene(it: Any) -> None:
        correlation_id.set("scenario-a")
        await it.client.get_run("run-1")
        assert correlation_id.get() == "scenario-a"
        with pytest.raises(ApiStatusError):
            await it.client.get_run("run-2")
        # What the caller says of the failure is about that request.
        failed = correlation_id.get()
        await it.client.get_run("run-3")
        assert correlation_id.get() == "scenario-a"
        sent = [request.headers["X-Request-Id"] for request in it.server.requests]
        assert len(set(sent)) == 4
        assert lines == list(zip(["200", "503", "500", "200"], sent, strict=True))
        assert failed == sent[2]

    handler = Noted(REQUESTS)
    logger = logging.getLogger("kfp_perf.client")
    logger.addHandler(handler)
    before = logger.level
    logger.setLevel(REQUESTS)
    answers = (behave.answer(RUN), behave.answer(None, 503), behave.answer(None, 500), behave.answer(RUN))
    try:
        play(scene, *answers, load_retries=3)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
