from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

import pytest
from in_a_loop import Later, in_a_loop

from kfp_perf.client.pool import KEEPALIVE_SECONDS, NotConnected, Pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kfp_perf.client.connection import Connection


class Server:
    """Accepts connections, and answers nothing."""

    def __init__(self) -> None:
        self.port = 0
        self.writers: list[asyncio.StreamWriter] = []
        self.ended = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        self.ended += 1
        writer.close()


@contextlib.asynccontextmanager
async def _pool(limit: int, *, host: str = "127.0.0.1") -> AsyncIterator[tuple[Pool, Server]]:
    server = Server()
    listener = await asyncio.start_server(server.handle, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    pool = Pool(host, server.port, None, limit, 5.0)
    try:
        yield pool, server
    finally:
        await pool.aclose()
        listener.close()
        while server.ended < len(server.writers):  # noqa: ASYNC110  the server tells by a number
            await asyncio.sleep(0)


def _wait(pool: Pool, timeout_seconds: float = 5.0) -> asyncio.Task[Connection]:
    return asyncio.ensure_future(pool.wait(timeout_seconds))


def _is_free(pool: Pool) -> bool:
    connection = pool.take()
    if connection is not None:
        pool.release(connection)
    return connection is not None


@in_a_loop
async def test_who_waits_longest_gets_the_connection_that_becomes_free() -> None:
    async with _pool(1) as (pool, _):
        connection = await _wait(pool)
        waiting = [_wait(pool) for _ in range(3)]
        for turn in range(3):
            await asyncio.sleep(0)
            pool.release(connection)
            assert await waiting[turn] is connection
        pool.release(connection)
        assert pool.take() is connection


@in_a_loop
async def test_a_connection_that_is_spent_makes_room_for_a_new_one() -> None:
    async with _pool(1) as (pool, _):
        first = await _wait(pool)
        waiting = _wait(pool)
        await asyncio.sleep(0)
        first.abort()
        pool.release(first)
        second = await waiting
        assert second is not first
        pool.release(second)


@pytest.mark.parametrize("spent", [True, False])
@in_a_loop
async def test_who_gives_up_just_as_a_connection_becomes_free_passes_it_on(spent: bool) -> None:
    async with _pool(1) as (pool, _):
        connection = await _wait(pool)
        first, second = _wait(pool), _wait(pool)
        await asyncio.sleep(0)
        if spent:
            connection.abort()
        pool.release(connection)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        got = await second
        assert (got is connection) is not spent
        pool.release(got)


@in_a_loop
async def test_who_gave_up_before_is_passed_over() -> None:
    async with _pool(1) as (pool, _):
        connection = await _wait(pool)
        with pytest.raises(TimeoutError):
            await _wait(pool, 0.001)
        pool.release(connection)
        assert _is_free(pool)


@in_a_loop
async def test_a_connection_that_is_lost_on_its_way_to_who_waits_is_replaced() -> None:
    async with _pool(1) as (pool, _):
        connection = await _wait(pool)
        waiting = _wait(pool)
        await asyncio.sleep(0)
        pool.release(connection)
        connection.abort()
        got = await waiting
        assert got is not connection
        assert got.reusable
        pool.release(got)


@in_a_loop
async def test_failing_to_connect_takes_no_room(unused_port: int) -> None:
    pool = Pool("127.0.0.1", unused_port, None, 1, 5.0)
    for _ in range(3):
        with pytest.raises(NotConnected) as caught:
            await _wait(pool)
        assert isinstance(caught.value.__cause__, ConnectionRefusedError)
    await pool.aclose()


@in_a_loop
async def test_giving_up_on_a_connection_in_the_making_takes_no_room() -> None:
    async with _pool(1) as (pool, _):
        for _ in range(3):
            making = _wait(pool)
            await asyncio.sleep(0)
            making.cancel()
            with pytest.raises(asyncio.CancelledError):
                await making
        pool.release(await _wait(pool))


@in_a_loop
async def test_the_connection_that_was_used_last_is_used_next() -> None:
    async with _pool(3) as (pool, _):
        connections = [await _wait(pool) for _ in range(3)]
        for connection in connections:
            pool.release(connection)
        assert pool.take() is connections[2]
        pool.release(connections[2])


@in_a_loop
async def test_idle_connections_are_closed_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    async with _pool(3) as (pool, _):
        later = Later(monkeypatch)
        connections = [await _wait(pool) for _ in range(3)]
        pool.release(connections[0])
        await later(KEEPALIVE_SECONDS / 2)
        pool.release(connections[1])
        await later(KEEPALIVE_SECONDS / 2)
        assert [connection.reusable for connection in connections] == [False, True, True]
        pool.release(connections[2])
        await later(KEEPALIVE_SECONDS)
        assert not any(connection.reusable for connection in connections)
        # All of the room is there again.
        for connection in [await _wait(pool) for _ in range(3)]:
            pool.release(connection)


@in_a_loop
async def test_a_connection_that_has_been_idle_for_too_long_is_not_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The event loop may come to the timer that closes it only after a request that is due."""
    async with _pool(1) as (pool, _):
        later = Later(monkeypatch)
        pool.release(await _wait(pool))
        later.skipped += KEEPALIVE_SECONDS + 1
        assert pool.take() is None
        pool.release(await _wait(pool))


@in_a_loop
async def test_a_connection_that_the_server_has_closed_is_not_taken() -> None:
    async with _pool(1) as (pool, server):
        connection = await _wait(pool)
        pool.release(connection)
        # Within one turn of this loop, which has not heard of it.
        server.writers[0].get_extra_info("socket").shutdown(socket.SHUT_WR)
        assert connection.reusable
        assert pool.take() is None
        assert not connection.reusable
        pool.release(await _wait(pool))


@in_a_loop
async def test_a_connection_on_which_something_was_said_unasked_is_not_taken() -> None:
    """It would be taken for the answer to the next request. Some servers say 408 before they close."""
    async with _pool(1) as (pool, server):
        pool.release(await _wait(pool))
        server.writers[0].get_extra_info("socket")._sock.send(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        assert pool.take() is None
        pool.release(await _wait(pool))


@in_a_loop
async def test_who_waits_for_a_pool_that_is_closed_is_told() -> None:
    async with _pool(1) as (pool, _):
        held = await _wait(pool)
        waiting = _wait(pool)
        await asyncio.sleep(0)
        await pool.aclose()
        with pytest.raises(ConnectionAbortedError):
            await waiting
        assert not held.reusable
        pool.release(held)


@in_a_loop
async def test_a_pool_that_was_closed_makes_no_connections_that_stay() -> None:
    async with _pool(2) as (pool, _):
        making = _wait(pool)
        await asyncio.sleep(0)
        await pool.aclose()
        connection = await making
        assert not connection.reusable
        await connection.lost
        pool.release(connection)
