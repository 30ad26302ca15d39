from __future__ import annotations

import asyncio
import errno
import socket
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from kfp_emulator.http.listener import Listener
from kfp_emulator.http.server import open_socket

if TYPE_CHECKING:
    from collections.abc import Callable


class Counted(asyncio.Protocol):
    made = 0

    def connection_made(self, transport: Any) -> None:
        type(self).made += 1
        transport.close()


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_all_connections_that_wait_are_accepted_in_one_turn(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def scene() -> None:
        Counted.made = 0
        bound = open_socket("127.0.0.1", 0)
        listener = Listener(bound, Counted)
        address = bound.getsockname()
        clients = [socket.create_connection(address) for _ in range(60)]
        # One turn to see that they wait, some for asyncio to make their transports.
        for _ in range(8):
            await asyncio.sleep(0)
        assert Counted.made == 60
        listener.close()
        for client in clients:
            client.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scene())


class OutOfDescriptors(socket.socket):
    refusals = 2

    def accept(self) -> Any:
        if self.refusals:
            type(self).refusals -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


def test_without_a_free_descriptor_a_connection_waits(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        made = asyncio.Event()

        class Told(asyncio.Protocol):
            def connection_made(self, transport: Any) -> None:
                made.set()
                transport.close()

        bound = OutOfDescriptors(fileno=open_socket("127.0.0.1", 0).detach())
        bound.setblocking(False)
        listener = Listener(bound, Told)
        with socket.create_connection(bound.getsockname()):
            await made.wait()
        listener.close()

    asyncio.run(scene())
    assert [record.getMessage() for record in caplog.records].count(
        "cannot accept a connection: [Errno 24] Too many open files"
    ) == 2
