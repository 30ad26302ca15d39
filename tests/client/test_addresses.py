from __future__ import annotations

import asyncio
import errno
import gc
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from in_a_loop import Later, in_a_loop

from kfp_perf.client.pool import DNS_CACHE_SECONDS, NEXT_ADDRESS_SECONDS, Addresses

if TYPE_CHECKING:
    from collections.abc import Iterator

NOT_HERE = OSError(errno.ENETUNREACH, "Network is unreachable")
REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")


@pytest.fixture
def ports() -> Iterator[tuple[int, int]]:
    """Two that are listened on."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        yield one.getsockname()[1], other.getsockname()[1]


class Names:
    """Resolves names by a function; `asked` are the names in order."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, *ports: int, failure: Exception | None = None
    ) -> None:
        self.ports = list(ports)
        self.failure = failure
        self.asked: list[str] = []
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", self._look_up)

    async def _look_up(self, host: str, port: int, **_: Any) -> Any:
        self.asked.append(host)
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        return [
            (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", one))
            for one in self.ports
        ]


async def _reached(addresses: Addresses) -> int:
    """Connect, and return the port that was reached."""
    with await addresses.connect() as connection:
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        port: int = connection.getpeername()[1]
        return port


@in_a_loop
async def test_addresses_take_turns(monkeypatch: pytest.MonkeyPatch, ports: tuple[int, int]) -> None:
    Names(monkeypatch, *ports)
    addresses = Addresses("kfp.test", 80)
    assert [await _reached(addresses) for _ in range(4)] == [ports[1], ports[0]] * 2


@in_a_loop
async def test_all_who_connect_at_once_share_one_look_up(
    monkeypatch: pytest.MonkeyPatch, ports: tuple[int, int]
) -> None:
    later = Later(monkeypatch)
    names = Names(monkeypatch, ports[0])
    addresses = Addresses("kfp.test", 80)
    await asyncio.gather(*(_reached(addresses) for _ in range(5)))
    await later(DNS_CACHE_SECONDS - 1)
    await _reached(addresses)
    assert names.asked == ["kfp.test"]
    await later(1)
    await _reached(addresses)
    assert len(names.asked) == 2


@in_a_loop
async def test_an_address_is_not_looked_up(monkeypatch: pytest.MonkeyPatch, ports: tuple[int, int]) -> None:
    names = Names(monkeypatch, failure=AssertionError())
    assert await _reached(Addresses("127.0.0.1", ports[0])) == ports[0]
    assert names.asked == []


@in_a_loop
async def test_a_look_up_that_fails_fails_for_all_and_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, ports: tuple[int, int]
) -> None:
    names = Names(monkeypatch, ports[0], failure=socket.gaierror(socket.EAI_AGAIN, "try again"))
    addresses = Addresses("kfp.test", 80)
    outcomes = await asyncio.gather(*(_reached(addresses) for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [socket.gaierror] * 3
    assert len(names.asked) == 1
    names.failure = None
    assert await _reached(addresses) == ports[0]
    gc.collect()  # an exception that nobody heard of would be told now


@in_a_loop
async def test_an_address_that_refuses_is_passed_over_until_the_next_look_up(
    monkeypatch: pytest.MonkeyPatch, ports: tuple[int, int], unused_port: int
) -> None:
    later = Later(monkeypatch)
    names = Names(monkeypatch, ports[0], unused_port)
    addresses = Addresses("kfp.test", 80)
    tried = _note_connects(monkeypatch)
    assert [await _reached(addresses) for _ in range(3)] == [ports[0]] * 3
    assert tried.count(unused_port) == 1
    names.ports = [unused_port, ports[1]]
    await later(DNS_CACHE_SECONDS)
    assert await _reached(addresses) == ports[1]


@in_a_loop
async def test_an_address_that_is_silent_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, ports: tuple[int, int]
) -> None:
    later = Later(monkeypatch)
    silent = 9
    Names(monkeypatch, ports[0], silent)
    tried = _note_connects(monkeypatch, {silent: None})
    connecting = asyncio.ensure_future(_reached(Addresses("kfp.test", 80)))
    while tried != [silent]:  # noqa: ASYNC110  told by a list
        await asyncio.sleep(0)
    await later(NEXT_ADDRESS_SECONDS)
    assert await connecting == ports[0]


@in_a_loop
async def test_a_server_that_has_moved_is_looked_up_again(
    monkeypatch: pytest.MonkeyPatch, ports: tuple[int, int], unused_port: int
) -> None:
    names = Names(monkeypatch, unused_port)
    addresses = Addresses("kfp.test", 80)
    with pytest.raises(ConnectionRefusedError):
        await addresses.connect()
    names.ports = [ports[0]]
    assert await _reached(addresses) == ports[0]


@pytest.mark.parametrize(
    ("failures", "told"),
    [([NOT_HERE, REFUSED], REFUSED), ([REFUSED, NOT_HERE], REFUSED), ([NOT_HERE, NOT_HERE], NOT_HERE)],
)
@in_a_loop
async def test_of_several_failures_the_refusal_is_told(
    monkeypatch: pytest.MonkeyPatch, failures: list[OSError], told: OSError
) -> None:
    Names(monkeypatch, 1, 2)
    _note_connects(monkeypatch, dict(zip((1, 2), failures, strict=True)))
    with pytest.raises(OSError, match=told.strerror) as caught:
        await Addresses("kfp.test", 80).connect()
    assert caught.value.errno == told.errno


@in_a_loop
async def test_a_name_that_cannot_be_is_told() -> None:
    with pytest.raises((UnicodeError, OSError)):
        await Addresses("a..b", 80).connect()


@in_a_loop
async def test_giving_up_closes_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    Names(monkeypatch, 9)
    tried = _note_connects(monkeypatch, {9: None})
    connecting = asyncio.ensure_future(Addresses("kfp.test", 80).connect())
    while not tried:  # noqa: ASYNC110  told by a list
        await asyncio.sleep(0)
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    gc.collect()  # a socket that was left open would be told now


def _note_connects(
    monkeypatch: pytest.MonkeyPatch, failures: dict[int, OSError | None] | None = None
) -> list[int]:
    """Note the ports that are connected to; those of `failures` fail so, or (None) never answer."""
    loop = asyncio.get_running_loop()
    tried: list[int] = []
    connect = loop.sock_connect

    async def sock_connect(sock: socket.socket, address: Any) -> None:
        tried.append(address[1])
        if address[1] in (failures or {}):
            failure = (failures or {})[address[1]]
            if failure is None:
                await loop.create_future()
            else:
                raise failure
        await connect(sock, address)

    monkeypatch.setattr(loop, "sock_connect", sock_connect)
    return tried


_WITHOUT_DESCRIPTORS = """
import asyncio, os, resource, socket
from kfp_perf.client.pool import Addresses

async def main():
    for name in ("localhost", "kfp.invalid"):
        "".encode("idna")  # imports the codec
        addresses = Addresses(name, 1)
        await asyncio.to_thread(int)
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        held = []
        try:
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            pass
        try:
            await addresses.connect()
        except OSError as error:
            answer = os.strerror(error.errno)
        for one in held:
            os.close(one)
        print(name, answer)

asyncio.run(main())
"""


def test_a_look_up_without_descriptors_is_told_as_such() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_DESCRIPTORS], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines() == [
        "localhost Too many open files",
        "kfp.invalid Too many open files",
    ]
