"""A server with scripted misbehaviour on a real socket, and a clock that does not wait."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from kfp_perf.client import RestClient
from kfp_perf.config import TestConfig
from kfp_perf.pacing import RealClock, StopSignal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kfp_perf.result.records import Attempt, Sample

    Behaviour = Callable[["Request", asyncio.StreamWriter], Awaitable[None]]


class QuickClock(RealClock):
    """Real time, but what would be waited passes at once."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped = 0.0
        self.waits: list[float] = []

    def now(self) -> float:
        return super().now() + self.skipped

    async def sleep_until(
        self, when: float, stop: StopSignal | None = None, wake: asyncio.Future[bool] | None = None
    ) -> bool:
        if stop is not None and stop.is_set():
            return False
        wait = max(0.0, when - self.now())
        self.waits.append(wait)
        self.skipped += wait
        await asyncio.sleep(0)
        return True


@dataclass
class Request:
    """The requests that the server received."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int


class Behave:
    """Ways to answer."""

    @staticmethod
    def answer(body: Any = None, status: int = 200, **headers: str) -> Behaviour:
        content = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()

        async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
            fields = {"Content-Type": "application/json", "Content-Length": str(len(content))}
            fields |= {name.replace("_", "-"): value for name, value in headers.items()}
            head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            writer.write(f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode() + content)
            await writer.drain()

        return behave

    @staticmethod
    def raw(content: bytes) -> Behaviour:
        """Write some bytes, and close."""

        async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
            writer.write(content)
            await writer.drain()
            writer.close()

        return behave

    @staticmethod
    async def close(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.close()

    @staticmethod
    async def reset(request: Request, writer: asyncio.StreamWriter) -> None:
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    @staticmethod
    async def stall(request: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()


@dataclass
class Server:
    """Answers the n-th request in the n-th way; the last way is kept."""

    script: list[Behaviour]
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    on_connect: Callable[[asyncio.StreamWriter], None] | None = None
    #: Handles whole connections in another way.
    instead: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]] | None = None

    #: The loop refers to its tasks weakly: one that stalls could be collected.
    tasks: list[asyncio.Task[Any] | None] = field(default_factory=list)

    async def greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tasks.append(asyncio.current_task())
        await (self.instead or self.handle)(reader, writer)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        connection = self.connections
        if self.on_connect is not None:
            self.on_connect(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                start, *lines = head.strip().split("\r\n")
                method, target, _ = start.split(" ")
                headers = dict(line.split(": ", 1) for line in lines)
                body = await reader.readexactly(int(headers.get("Content-Length", 0)))
                self.requests.append(Request(method, target, headers, body, connection))
                behave = self.script[min(len(self.requests), len(self.script)) - 1]
                await behave(self.requests[-1], writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@dataclass
class Scene:
    """A client, its server, and the recorded samples."""

    client: RestClient
    server: Server
    clock: QuickClock
    samples: list[Sample]
    stop: StopSignal

    @property
    def attempts(self) -> list[Attempt]:
        """The attempts of all calls, one after the other."""
        return [attempt for sample in self.samples for attempt in sample.attempts]


@pytest.fixture
def behave() -> type[Behave]:
    return Behave


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def play(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Run a scene with a client of a server that answers by a script; settings are the configuration's."""

    def run(
        scene: Callable[[Scene], Awaitable[Any]],
        *script: Behaviour,
        tls: Any = None,
        scheme: str = "",
        path: str = "",
        **settings: Any,
    ) -> Any:
        async def main() -> Any:
            server = Server(list(script))
            listener = await asyncio.start_server(server.greet, "127.0.0.1", 0, ssl=tls)
            server.port = listener.sockets[0].getsockname()[1]
            spoken = scheme or ("https" if tls else "http")
            given = {"KFP_API_HOST": f"{spoken}://127.0.0.1:{server.port}{path}"} | settings
            # What is repeated is the same for every purpose, as far as the numbers of retries are.
            given.setdefault("load_retries", settings.get("retries", 3))
            clock = QuickClock()
            samples: list[Sample] = []
            stop = StopSignal()
            client = RestClient(TestConfig(**given), clock, samples.append, "test", seed=1, stop=stop)
            try:
                return await scene(Scene(client, server, clock, samples, stop))
            finally:
                await client.aclose()
                listener.close()
                for task in asyncio.all_tasks() - {asyncio.current_task()}:
                    task.cancel()

        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(main())

    return run


@pytest.fixture
def unused_port() -> int:
    """A port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
