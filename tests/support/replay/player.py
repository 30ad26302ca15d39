"""Plays a recording against an emulator of its own, in virtual time, over real sockets."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emulated import emulator
from virtual_time import run_virtually

from replay.compare import differences
from replay.ids import UUID, Ids
from replay.on_purpose import reason_of
from replay.preparation import OUTCOMES, Experiments, Runs, Step, Wait, preparation_of
from replay.requests import NotReplayable, Request, catalog_pipeline, rebuild, upload_body
from replay.wire import Answer, send

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from replay.recording import Exchange, Recording

V2 = "/apis/v2beta1"
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
WITHIN_A_PASS = (0.0, -2.0, 2.0, -4.0, 4.0)
"""Seconds around the recorded moment of a look at a run at which the emulator may show the same."""
MINUTES_LATER_SECONDS = 120.0
_PATIENCE_SECONDS = 180
_MISSING_ID = re.compile(rf"experiment_id\W+({UUID})")


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
    return run_virtually(lambda: _Player(recording).play())


class _Player:
    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.preparation = preparation_of(recording.name)
        self.ids = Ids()
        self.url = ""
        self._began = 0.0
        self._last_t: float | None = None
        self._user: Mapping[str, str] = {}

    async def play(self) -> list[Pair]:
        async with emulator(str(PROFILE), dict(self.preparation.options)) as (_, self.url):
            if self.preparation.options.get("multi_user"):
                self._user = {"kubeflow-userid": "alice@example.com"}
            outcomes = json.dumps(OUTCOMES).encode()
            await self._good("POST", "/emulator/v1/outcomes", outcomes)
            return [pair for each in self.recording.exchanges if (pair := await self._exchange(each))]

    async def _exchange(self, exchange: Exchange) -> Pair | None:
        for step in self.preparation.steps:
            if step.before == exchange.number:
                await self._take(step)
        if not exchange.method:
            return await self._note(exchange)
        if exchange.number in self.preparation.not_replayable:
            reason = self.preparation.not_replayable[exchange.number]
            return Pair(exchange, reason=reason, replayed=False)
        await self._make_what_is_missing(exchange)
        try:
            request = rebuild(self.recording, exchange, self.ids)
        except NotReplayable as reason:
            return Pair(exchange, reason=str(reason), replayed=False)
        if exchange.t_seconds is None:
            return self._compared(exchange, [await send(self.url, request)])
        return self._compared(exchange, await self._looks(exchange, request))

    def _compared(self, exchange: Exchange, answers: Iterable[Answer]) -> Pair:
        """Compare with the answer that fits; with the first one where none does."""
        first: tuple[tuple[str, ...], Ids] | None = None
        for answer in answers:
            ids = self.ids.copy()
            found = tuple(_differences(exchange, answer, ids))
            if not found:
                self.ids = ids
                return Pair(exchange)
            first = first or (found, ids)
        if first is None:
            raise AssertionError("there is an answer to each request")
        self.ids = first[1]
        return Pair(exchange, first[0], reason_of(self.recording.name, first[0]))

    # --- time

    async def _looks(self, exchange: Exchange, request: Request) -> list[Answer]:
        """Ask at the recorded moment and within a pass around it; the answer of that moment comes first."""
        assert exchange.t_seconds is not None
        loop = asyncio.get_running_loop()
        if self._last_t is None or exchange.t_seconds < self._last_t:
            self._began = loop.time() - exchange.t_seconds
        following = self._following_moment(exchange)
        answers = {}
        for offset in sorted(WITHIN_A_PASS):
            moment = self._began + exchange.t_seconds + offset
            if offset and not (loop.time() <= moment and exchange.t_seconds + offset < following):
                continue
            await asyncio.sleep(moment - loop.time())
            answers[offset] = await send(self.url, request)
        self._last_t = exchange.t_seconds
        return [answers[offset] for offset in WITHIN_A_PASS if offset in answers]

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
        if exchange.note.startswith("read again"):
            await asyncio.sleep(MINUTES_LATER_SECONDS)
        if exchange.body is None:
            return None
        return self._compared(exchange, [await self._spawned(exchange)])

    async def _spawned(self, exchange: Exchange) -> Answer:
        """Wait until a schedule has started another run, and return it."""
        experiment = self.ids.translate(exchange.body["experiment_id"])
        path = f"{V2}/runs?experiment_id={experiment}&page_size=200&sort_by=created_at"
        number = sum(1 for each in self.recording.exchanges[: exchange.number] if not each.method)
        for _ in range(_PATIENCE_SECONDS):
            runs = (await self._good("GET", path)).get("runs", [])
            if len(runs) > number:
                return Answer(0, {}, runs[number])
            await asyncio.sleep(1)
        return Answer(0, {}, None)

    # --- what was there before the recording

    async def _take(self, step: Step) -> None:
        if isinstance(step, Wait):
            await asyncio.sleep(step.seconds)
        elif isinstance(step, Experiments):
            await self._make_experiments(step)
        else:
            await self._make_runs(step)

    async def _make_experiments(self, step: Experiments) -> None:
        """Make each experiment until its id lies in its part of all ids: then they have the wanted order."""
        part = (1 << 32) // len(step.ids)
        for number, (name, recorded) in enumerate(step.ids.items()):
            while True:
                made = await self._make_experiment(name, step.namespace)
                if int(made[:8], 16) // part == number:
                    break
                await self._good("DELETE", f"{V2}/experiments/{made}")
            self.ids.learn(recorded, made)

    async def _make_experiment(self, name: str, namespace: str = "") -> str:
        body = {"display_name": name, "namespace": namespace}
        made: str = (await self._good("POST", f"{V2}/experiments", json.dumps(body).encode()))[
            "experiment_id"
        ]
        return made

    async def _make_runs(self, step: Runs) -> None:
        """Make runs whose ids lie beside that of the first one as the recorded ids do."""
        like = self.recording.exchanges[step.like]
        body = json.loads(self.ids.translate(json.dumps(like.request)))
        first_recorded, first = like.body["run_id"], self.ids.translate(like.body["run_id"])
        for number, (name, recorded) in enumerate(step.ids.items(), 1):
            await asyncio.sleep(1)
            beside = number if recorded > first_recorded else -number
            run_id = _uuid(int(first.replace("-", ""), 16) + beside)
            made = body | {"display_name": name, "run_id": run_id}
            await self._good("POST", f"{V2}/runs", json.dumps(made).encode())
            self.ids.learn(recorded, run_id)

    async def _make_what_is_missing(self, exchange: Exchange) -> None:
        """Make the experiment and the pipeline that a request refers to where no answer has shown them."""
        if not isinstance(exchange.request, dict):
            return
        experiment = exchange.request.get("experiment_id") or ""
        if re.fullmatch(UUID, experiment) and self.ids.translate(experiment) == experiment:
            self.ids.learn(experiment, await self._make_experiment("rec-exp"))
        reference = exchange.request.get("pipeline_version_reference", {})
        pipeline = reference.get("pipeline_id", "")
        if re.fullmatch(UUID, pipeline) and self.ids.translate(pipeline) == pipeline:
            await self._make_pipeline(pipeline)

    async def _make_pipeline(self, recorded: str) -> None:
        body = upload_body("uploadfile", "p.yaml", catalog_pipeline("hello"))
        target = f"{V2}/pipelines/upload?name=rec-before"
        headers = {"Content-Type": "multipart/form-data; boundary=replay"}
        answer = await send(self.url, Request("POST", target, body, headers))
        made = answer.body["pipeline_id"]
        self.ids.learn(recorded, made)
        versions = await self._good("GET", f"{V2}/pipelines/{made}/versions")
        version = versions["pipeline_versions"][0]["pipeline_version_id"]
        for exchange in self.recording.exchanges:
            if isinstance(exchange.request, dict):
                reference = exchange.request.get("pipeline_version_reference", {})
                if reference.get("pipeline_id") == recorded and re.fullmatch(
                    UUID, reference.get("pipeline_version_id", "")
                ):
                    self.ids.learn(reference["pipeline_version_id"], version)

    async def _good(self, method: str, target: str, body: bytes | None = None) -> Any:
        headers = {**self._user, "Content-Type": "application/json"}
        answer = await send(self.url, Request(method, target, body, headers))
        if answer.status != 200:
            raise AssertionError(f"{method} {target}: {answer.status} {answer.body}")
        return answer.body


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


def _uuid(number: int) -> str:
    text = f"{number:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


__all__ = ["Pair", "replay"]
