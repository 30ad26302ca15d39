"""GET /apis/v2beta1/healthz, which the real server writes by hand: zero values are present."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from kfp_emulator.protocol.errors import JSON_HEADER, Answer

if TYPE_CHECKING:
    from kfp_emulator.protocol.call import Call
    from kfp_emulator.server.state import Backend


async def get_v1_healthz(backend: Backend, _call: Call) -> Answer:
    """GET /apis/v1beta1/healthz: all of that API that there is."""
    return _answer(_version(backend))


async def get_healthz(backend: Backend, _call: Call) -> Answer:
    """Return the version, and whether the server is for many users."""
    return _answer(_version(backend) | {"pipeline_store": backend.identity.pipeline_store})


def _version(backend: Backend) -> dict[str, object]:
    return {
        "commit_sha": backend.identity.commit_sha,
        "tag_name": backend.identity.tag_name,
        "multi_user": backend.access.multi_user,
    }


def _answer(document: dict[str, object]) -> Answer:
    return Answer(200, msgspec.json.encode(document), (JSON_HEADER,))
