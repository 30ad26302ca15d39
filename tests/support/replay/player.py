"""Plays a recording against an emulator of its own, in virtual time, over real sockets."""

from __future__ import annotations

import asyncio
import json
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emulated import emulator
from virtual_time import run_virtually

from replay.compare import differences
from replay.ids import Ids
from replay.on_purpose import reason_of
from replay.preparation import OUTCOMES, preparation_of
from replay.requests import NotReplayable, Request, rebuild
from replay.surroundings import V2, Server, make_what_is_missing, take
from replay.wire import Answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from replay.recording import Exchange, Recording

PROFILE = Path(__file__).with_name("test_kubelet.json")
HEADERS = (
    "content-type",
    "grpc-metadata-content-type",
    "location",
    "transfer-encoding",
    "www-authenticate",
    "x-content-type-options",
)
"""The headers that are compared, where the recording has any."""
WITHIN_A_PASS = (0.0, *(sign * seconds for seconds in (0.5, 1.0, 2.0, 4.0) for sign in (-1, 1)))
"""Seconds around the recorded moment of a look at a run at which the emulator may show the same.

That is less than half a pass of the controller.
"""
CLOSELY = (0.0, *(sign * step / 20 for step in range(1, 81) for sign in (-1, 1)))
"""The same in small steps, which find what is written a moment later than the rest."""
MINUTES_LATER_SECONDS = 120.0
_PATIENCE_SECONDS = 180
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Pair:
    """An exchange and what became of it.

    `differences` is empty where the answers are equal; `reason` says why they differ on purpose, or why the
    exchange could not be replayed.
    """

    exchange: Exchange
    differences: tuple[str, ...] = ()
    reason: str = ""
    replayed: bool = True

    @property
    def result(self) -> str:
        """One of `equal`, `on purpose`, `different`, `not replayable`."""
        if not self.replayed:
            return "not replayable"
        if not self.differences:
            return "equal"
        return "on purpose" if self.reason else "different"


def replay(recording: Recording) -> list[Pair]:
    """Send the requests of a recording to a new emulator, and compare the answers."""
    pairs = _play(recording, frozenset())
    closely = frozenset(
        pair.exchange.number
        for pair in pairs
        if pair.result == "different" and pair.exchange.t_seconds is not None
    )
    return _play(recording, closely) if closely else pairs


def _play(recording: Recording, closely: frozenset[int]) -> list[Pair]:
    """Play a recording; `closely` are the looks at a run that are made in small steps.

    The emulator does the same each time, and looks do not change it.
    """
    with tempfile.TemporaryDirectory() as folder:
        profile = Path(folder) / PROFILE.name
        changed = json.loads(PROFILE.read_text("utf-8")) | dict(preparation_of(recording.name).profile)
        profile.write_text(json.dumps(changed))
        return run_virtually(lambda: _Player(recording, str(profile), closely).play())


class _Player:
    def __init__(self, recording: Recording, profile: str, closely: frozenset[int]) -> None:
        self.recording = recording
        self._closely = closely
        self._profile = profile
        self.preparation = preparation_of(recording.name)
        self.ids = Ids()
        self._began = 0.0
        self._last_t: float | None = None

    async def play(self) -> list[Pair]:
        async with emulator(self._profile, dict(self.preparation.options)) as (_, url):
            self._server = Server(url, self.preparation.headers)
            outcomes = json.dumps(OUTCOMES).encode()
            await self._server.good("POST", "/emulator/v1/outcomes", outcomes)
            return [pair for each in self.recording.exchanges if (pair := await self._exchange(each))]

    async def _exchange(self, exchange: Exchange) -> Pair | None:
        for step in self.preparation.steps:
            if step.before == exchange.number:
                await take(step, self._server, self.recording, self.ids)
        if exchange.note.startswith("read again"):
            await asyncio.sleep(MINUTES_LATER_SECONDS)
        if not exchange.method:
            return await self._note(exchange)
        if exchange.number in self.preparation.not_replayable:
            reason = self.preparation.not_replayable[exchange.number]
            return Pair(exchange, reason=reason, replayed=False)
        await make_what_is_missing(self._server, self.recording, exchange, self.ids)
        try:
            request = rebuild(self.recording, exchange, self.ids)
        except NotReplayable as reason:
            return Pair(exchange, reason=str(reason), replayed=False)
        if exchange.t_seconds is not None:
            return await self._look(exchange, request, exchange.t_seconds)
        pair = await self._compared(exchange, self._once(request))
        await asyncio.sleep(exchange.took_seconds)
        return pair

    async def _compared(self, exchange: Exchange, answers: AsyncIterator[tuple[float, Answer]]) -> Pair:
        """Compare with the first answer that fits; where none does, with that nearest to the recorded moment."""
        nearest: float | None = None
        found: tuple[str, ...] = ()
        before, learnt = None, self.ids
        async for offset, answer in answers:
            nearer = nearest is None or abs(offset) < nearest
            if answer.body == before and not nearer:
                continue
            before = answer.body
            ids = self.ids.copy()
            differing = tuple(_differences(exchange, answer, ids))
            if not differing:
                self.ids = ids
                return Pair(exchange)
            if nearer:
                nearest, found, learnt = abs(offset), differing, ids
        if nearest is None:
            raise AssertionError("there is an answer to each request")
        self.ids = learnt
        return Pair(exchange, found, reason_of(self.recording.name, found))

    # --- time

    async def _once(self, request: Request) -> AsyncIterator[tuple[float, Answer]]:
        yield 0.0, await self._server.send(request)

    async def _look(self, exchange: Exchange, request: Request, t_seconds: float) -> Pair:
        """Ask until the answer fits, within a pass around the recorded moment; go on after that moment."""
        loop = asyncio.get_running_loop()
        if self._last_t is None or t_seconds < self._last_t:
            self._began = loop.time() - t_seconds
        self._last_t = t_seconds
        pair = await self._compared(exchange, self._looks(exchange, request, self._began + t_seconds))
        await asyncio.sleep(self._began + t_seconds - loop.time())
        return pair

    async def _looks(
        self, exchange: Exchange, request: Request, moment: float
    ) -> AsyncIterator[tuple[float, Answer]]:
        loop = asyncio.get_running_loop()
        following = self._began + self._following_moment(exchange)
        for offset in sorted(CLOSELY if exchange.number in self._closely else WITHIN_A_PASS):
            at = moment + offset
            if not offset or loop.time() <= at < following:
                await asyncio.sleep(at - loop.time())
                yield offset, await self._server.send(request)

    def _following_moment(self, exchange: Exchange) -> float:
        """Return until when one may look: what changes the run comes next, or another look."""
        number = exchange.number + 1
        if number < len(self.recording.exchanges):
            t_seconds = self.recording.exchanges[number].t_seconds
            if t_seconds is not None:
                return t_seconds
        assert exchange.t_seconds is not None
        return exchange.t_seconds

    async def _note(self, exchange: Exchange) -> Pair | None:
        if exchange.body is None:
            return None
        return await self._compared(exchange, self._spawned(exchange))

    async def _spawned(self, exchange: Exchange) -> AsyncIterator[tuple[float, Answer]]:
        """Wait until a schedule has started another run, and show it in its first second."""
        experiment = self.ids.translate(exchange.body["experiment_id"])
        path = f"{V2}/runs?experiment_id={experiment}&page_size=200&sort_by=created_at"
        number = sum(1 for each in self.recording.exchanges[: exchange.number] if not each.method)
        seen = 0
        for _ in range(round(_PATIENCE_SECONDS / _POLL_SECONDS)):
            runs = (await self._server.good("GET", path)).get("runs", [])
            if len(runs) > number:
                yield seen * _POLL_SECONDS, Answer(0, {}, runs[number])
                seen += 1
                if seen * _POLL_SECONDS >= 1:
                    return
            await asyncio.sleep(_POLL_SECONDS)
        yield math.inf, Answer(0, {}, None)


def _differences(exchange: Exchange, answer: Answer, ids: Ids) -> list[str]:
    found = []
    if exchange.status != answer.status:
        found.append(f"status: recorded {exchange.status}, emulated {answer.status}")
    if exchange.headers is not None:
        for name in HEADERS:
            recorded, emulated = exchange.headers.get(name), answer.headers.get(name)
            if recorded != emulated:
                found.append(f"header {name}: recorded {recorded}, emulated {emulated}")
    return found + differences(exchange.body, answer.body, ids)


__all__ = ["Pair", "replay"]
