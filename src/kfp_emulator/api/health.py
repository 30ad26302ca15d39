"""GET /apis/v2beta1/healthz, which the real server writes by hand: zero values are present."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from kfp_emulator.protocol.errors import JSON_HEADER, Answer

if TYPE_CHECKING:
    from kfp_emulator.protocol.call import Call
    from kfp_emulator.server.state import Backend


async def get_v1_healthz(backend: Backend, _call: Call) -> Answer:
    """GET /apis/v1beta1/healthz: all that is left of that API here."""
    identity = backend.identity
    document = {
        "commit_sha": identity.commit_sha,
        "tag_name": identity.tag_name,
        "multi_user": backend.access.multi_user,
    }
    return Answer(200, msgspec.json.encode(document), (JSON_HEADER,))


async def get_healthz(backend: Backend, _call: Call) -> Answer:
    """Say which version this is, and whether it is for many users."""
    identity = backend.identity
    document = {
        "commit_sha": identity.commit_sha,
        "tag_name": identity.tag_name,
        "multi_user": backend.access.multi_user,
        "pipeline_store": identity.pipeline_store,
    }
    return Answer(200, msgspec.json.encode(document), (JSON_HEADER,))
