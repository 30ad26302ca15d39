"""The emulator's own API about the cluster: restarts of components, the truth of pods, history and permissions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from kfp_emulator.kubernetes.permissions import Denial
from kfp_emulator.kubernetes.pod_truth import pod_truth
from kfp_emulator.protocol.errors import JSON_HEADER, Answer, ApiFault, Code
from kfp_emulator.server.components import restart_component
from kfp_emulator.server.faults import UNREADABLE
from kfp_emulator.server.lifecycle import API_SERVER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kfp_emulator.protocol.call import Call
    from kfp_emulator.server.state import Backend


def _json(document: object) -> Answer:
    return Answer(200, msgspec.json.encode(document), (JSON_HEADER,))


def _refuse(message: str) -> ApiFault:
    return ApiFault(Code.INVALID_ARGUMENT, message, message)


async def list_components(backend: Backend, _call: Call) -> Answer:
    """GET /emulator/v1/components: the components, their restarts, and what they are modelled to consume."""
    components = backend.kubernetes.components
    lives = [components.life(name) for name in components.names()]
    return _json(
        {
            "components": [
                {
                    "name": life.component.name,
                    "pod": life.pod.name,
                    "up": life.since is not None,
                    "restarts": life.restarts,
                    "last_reason": life.last.reason if life.last is not None else "",
                    "cpu_seconds": round(components.cpu_seconds(life), 6),
                    "memory_bytes": components.memory_bytes(life),
                }
                for life in lives
            ]
        }
    )


class _ComponentRestart(msgspec.Struct, forbid_unknown_fields=True):
    reason: str = "Error"
    exit_code: int | None = None
    outage_seconds: float = 1.0


async def restart_one(backend: Backend, call: Call) -> Answer:
    """POST /emulator/v1/components/{name}:restart: end its container, and start it again after a while."""
    try:
        wanted = msgspec.json.decode(call.body or b"{}", type=_ComponentRestart)
    except UNREADABLE as error:
        raise _refuse(str(error)) from None
    if not 0 <= wanted.outage_seconds <= 3600:
        raise _refuse("outage_seconds must lie between 0 and 3600")
    name, known = call.path["name"], backend.kubernetes.components.names()
    if name not in known:
        message = f"there is no component {name!r}; known: {', '.join(known)}"
        raise ApiFault(Code.NOT_FOUND, message, message)

    def restart() -> None:
        restart_component(backend, name, wanted.reason, wanted.exit_code, wanted.outage_seconds)

    if name == API_SERVER:  # which answers first
        asyncio.get_running_loop().call_later(0.05, restart)
    else:
        restart()
    return _json({})


async def list_pods(backend: Backend, call: Call) -> AsyncIterator[bytes]:
    """GET /emulator/v1/pods?run_id=ID: what happened to the pods of runs, as lines of JSON in microseconds."""
    return _pod_lines(backend, call.text("run_id"))


async def _pod_lines(backend: Backend, run_id: str) -> AsyncIterator[bytes]:
    pods = backend.kubernetes.pods
    for name in [run_id] if run_id else pods.runs():
        yield b"".join(msgspec.json.encode(pod_truth(pod)) + b"\n" for pod in pods.of_run(name))


async def compact(backend: Backend, _call: Call) -> Answer:
    """POST /emulator/v1/kubernetes/compact: forget the history, so that old versions are answered by 410."""
    backend.kubernetes.journal.compact()
    return _json({"resource_version": str(backend.kubernetes.journal.version)})


async def list_denials(backend: Backend, _call: Call) -> Answer:
    """GET /emulator/v1/kubernetes/denials: what the Kubernetes API denies."""
    return _json({"denials": backend.kubernetes.permissions.denials})


async def set_denials(backend: Backend, call: Call) -> Answer:
    """POST /emulator/v1/kubernetes/denials: a list of what it denies from now on; DELETE: nothing."""
    document: Any = []
    if call.body:
        try:
            document = msgspec.json.decode(call.body, type=list[Denial])
        except UNREADABLE as error:
            raise _refuse(str(error)) from None
    backend.kubernetes.permissions.denials = tuple(document)
    return _json({})
