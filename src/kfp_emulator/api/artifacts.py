"""Artifacts and logs of nodes: small and plausible, for the emulator runs no containers.

Both lie beside the gateway (run_artifact_server.go, run_log_server.go of kubeflow/pipelines). The log route
answers 200 whatever happens: the real server writes the status before it looks.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import msgspec

from kfp_emulator.protocol.errors import JSON_HEADER, TEXT_HEADER, Answer, ApiFault, upload_fault_answer

if TYPE_CHECKING:
    from kfp_emulator.protocol.call import Call
    from kfp_emulator.server.state import Backend

_NO_CACHE = (b"cache-control", b"no-cache, private")


def _has_node(backend: Backend, run_id: str, node_id: str) -> bool:
    body = backend.runs.body(run_id)
    return body is not None and b'"pod_name":%s' % msgspec.json.encode(node_id) in body


async def read_artifact(backend: Backend, call: Call) -> Answer:
    """GET /runs/{run_id}/nodes/{node_id}/artifacts/{name}:read -> {"data": base64}."""
    run_id, node_id, name = call.path["run_id"], call.path["node_id"], call.path["artifact_name"]
    if backend.access.multi_user:
        row = backend.runs.get(run_id, "namespace, workflow")
        try:
            await backend.access.authorize(
                call, "readArtifact", "runs", row[0] if row else "", row[1] if row else ""
            )
        except ApiFault as fault:
            return upload_fault_answer(403, f"Failed to authorize the request: {fault.chain}", as_json=False)
    if not _has_node(backend, run_id, node_id):
        return upload_fault_answer(404, "artifact not found: <nil>", as_json=False)
    content = f"artifact {name} of node {node_id}\n".encode()
    body = msgspec.json.encode({"data": base64.b64encode(content).decode()})
    return Answer(200, body, (JSON_HEADER, _NO_CACHE))


async def read_log(backend: Backend, call: Call) -> Answer:
    """GET /apis/v1alpha1/runs/{run_id}/nodes/{node_id}/log."""
    run_id, node_id = call.path["run_id"], call.path["node_id"]
    if not _has_node(backend, run_id, node_id):
        message = f"Failed to read logs for run {run_id}: Failed to read logs from pod {node_id}"
        return Answer(200, upload_fault_answer(500, message, as_json=False).body, (TEXT_HEADER, _NO_CACHE))
    return Answer(200, f"I driver: node {node_id} of run {run_id}\n".encode(), (TEXT_HEADER, _NO_CACHE))
