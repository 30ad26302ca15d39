"""How long a real server takes for reads, for emulators that are to take as long.

The figures are those of a KFP 2.17.0 with MariaDB 10.11 on two cores, one request at a time: GetRun 3.8 ms with 12
entries and 18 ms with 69, ListRuns of ten such runs 42 ms; with 40,000 runs in the table 80 ms, with a filter
130 ms, with a search in names 300 ms, and with a filter within the experiment that holds them 14 s. The other reads
are medians of 1 to 21 calls. What concurrent reads cost each other is not modelled.
"""

from __future__ import annotations

import json
from base64 import b64decode
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kfp_emulator.protocol.call import Call
    from kfp_emulator.server.state import Backend

RUN_SECONDS = 0.0008
ENTRY_SECONDS = 0.00025
LIST_SECONDS = 0.004
ROW_SECONDS = 0.95e-6
FILTERED_ROW_SECONDS = 2.2e-6
SEARCHED_ROW_SECONDS = 6.5e-6
FILTERED_ROW_OF_EXPERIMENT_SECONDS = 350e-6

OTHER_READS = {
    "GetExperiment": 0.0015,
    "ListExperiments": 0.0024,
    "GetPipeline": 0.0026,
    "GetPipelineByName": 0.0029,
    "ListPipelines": 0.0024,
    "GetPipelineVersion": 0.0073,
    "ListPipelineVersions": 0.0045,
    "GetRecurringRun": 0.0048,
    "ListRecurringRuns": 0.0048,
}
"""Seconds of the reads that were not seen to grow; lists that were not measured are as long as the others."""

_ENTRY = b'"task_id":'
_RUN = b'"storage_state":'


def read_seconds(backend: Backend, call: Call, body: bytes) -> float:
    """Return how long a real server would take for a read that was answered with `body`; 0 for what is no read."""
    if call.operation == "GetRun":
        return RUN_SECONDS + ENTRY_SECONDS * body.count(_ENTRY)
    if call.operation == "ListRuns":
        rows = RUN_SECONDS * body.count(_RUN) + ENTRY_SECONDS * body.count(_ENTRY)
        return LIST_SECONDS + rows + _scan_seconds(backend, call)
    return OTHER_READS.get(call.operation, 0.0)


def _scan_seconds(backend: Backend, call: Call) -> float:
    """Return what the rows of the table cost that a list of runs looks at."""
    experiment_id = call.text("experiment_id")
    filtered = call.text("filter") or _filtered(call.text("page_token"))
    if experiment_id:
        count = backend.store.count("runs.experiment_id", experiment_id)
        return count * (FILTERED_ROW_OF_EXPERIMENT_SECONDS if filtered else ROW_SECONDS)
    count = backend.store.count("runs.tenant", backend.access.namespace(call.text("namespace")))
    if "IS_SUBSTRING" in filtered or '"SUBSTRING":{"' in filtered:
        return count * SEARCHED_ROW_SECONDS
    return count * (FILTERED_ROW_SECONDS if filtered else ROW_SECONDS)


def _filtered(page_token: str) -> str:
    """Return the filter that a page token carries, as text; empty if it has none."""
    if not page_token:
        return ""
    document = json.loads(b64decode(page_token))
    return json.dumps(document.get("Filter") or "", separators=(",", ":")).strip('"')
