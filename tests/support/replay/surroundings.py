"""Makes what was on the recorded server before an exchange: experiments, pipelines and runs, and time."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from replay.ids import UUID
from replay.preparation import Experiments, Step, Wait
from replay.requests import MULTIPART, Request, uncached_pipeline, upload_body
from replay.wire import Answer, send

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replay.ids import Ids
    from replay.preparation import Runs
    from replay.recording import Exchange, Recording

V2 = "/apis/v2beta1"


@dataclass(frozen=True, slots=True)
class Server:
    """The emulator at `url`; `headers` go with the requests that are not in a recording."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)

    async def send(self, request: Request) -> Answer:
        """Send a request of a recording."""
        return await send(self.url, request)

    async def good(
        self, method: str, target: str, body: bytes | None = None, kind: str = "application/json"
    ) -> Any:
        """Send another request, and return the body of its answer, which must be 200."""
        headers = {**self.headers, "Content-Type": kind}
        answer = await send(self.url, Request(method, target, body, headers))
        if answer.status != 200:
            raise AssertionError(f"{method} {target}: {answer.status} {answer.body}")
        return answer.body


async def take(step: Step, server: Server, recording: Recording, ids: Ids) -> None:
    """Take a step of a preparation."""
    if isinstance(step, Wait):
        await asyncio.sleep(step.seconds)
    elif isinstance(step, Experiments):
        await _make_experiments(step, server, ids)
    else:
        await _make_runs(step, server, recording, ids)


async def make_what_is_missing(server: Server, recording: Recording, exchange: Exchange, ids: Ids) -> None:
    """Make the experiment and the pipeline that a request refers to where no answer has shown them."""
    if not isinstance(exchange.request, dict):
        return
    experiment = exchange.request.get("experiment_id") or ""
    if _unknown(experiment, ids):
        ids.learn(experiment, await _make_experiment(server, "rec-exp"))
    pipeline = exchange.request.get("pipeline_version_reference", {}).get("pipeline_id", "")
    if _unknown(pipeline, ids):
        await _make_pipeline(server, recording, pipeline, ids)


def _unknown(recorded: str, ids: Ids) -> bool:
    return bool(re.fullmatch(UUID, recorded)) and ids.translate(recorded) == recorded


async def _make_experiments(step: Experiments, server: Server, ids: Ids) -> None:
    """Make each experiment until its id lies in its part of all ids: then they have the wanted order."""
    part = (1 << 32) // len(step.ids)
    for number, (name, recorded) in enumerate(step.ids.items()):
        while True:
            made = await _make_experiment(server, name, step.namespace)
            if int(made[:8], 16) // part == number:
                break
            await server.good("DELETE", f"{V2}/experiments/{made}")
        ids.learn(recorded, made)


async def _make_experiment(server: Server, name: str, namespace: str = "") -> str:
    body = json.dumps({"display_name": name, "namespace": namespace}).encode()
    made: dict[str, str] = await server.good("POST", f"{V2}/experiments", body)
    return made["experiment_id"]


async def _make_runs(step: Runs, server: Server, recording: Recording, ids: Ids) -> None:
    """Make runs whose ids lie beside that of the first one as the recorded ids do."""
    like = recording.exchanges[step.like]
    body = json.loads(ids.translate(json.dumps(like.request)))
    first_recorded, first = like.body["run_id"], ids.translate(like.body["run_id"])
    for number, (name, recorded) in enumerate(step.ids.items(), 1):
        await asyncio.sleep(1)
        beside = number if recorded > first_recorded else -number
        run_id = _uuid(int(first.replace("-", ""), 16) + beside)
        made = body | {"display_name": name, "run_id": run_id}
        await server.good("POST", f"{V2}/runs", json.dumps(made).encode())
        ids.learn(recorded, run_id)


async def _make_pipeline(server: Server, recording: Recording, recorded: str, ids: Ids) -> None:
    """Upload a pipeline, and learn its id and that of its version as the recording refers to it."""
    body = upload_body("uploadfile", "p.yaml", uncached_pipeline())
    made = await server.good("POST", f"{V2}/pipelines/upload?name=rec-before", body, MULTIPART)
    pipeline = made["pipeline_id"]
    ids.learn(recorded, pipeline)
    listed = await server.good("GET", f"{V2}/pipelines/{pipeline}/versions")
    version = listed["pipeline_versions"][0]["pipeline_version_id"]
    for exchange in recording.exchanges:
        if isinstance(exchange.request, dict):
            reference = exchange.request.get("pipeline_version_reference", {})
            known = reference.get("pipeline_version_id", "")
            if reference.get("pipeline_id") == recorded and re.fullmatch(UUID, known):
                ids.learn(known, version)


def _uuid(number: int) -> str:
    text = f"{number:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


__all__ = ["V2", "Server", "make_what_is_missing", "take"]
