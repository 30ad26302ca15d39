"""The start of a server on a kept store, its restart, and its return after an outage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_emulator.pipelines.ir import InvalidPipeline
from kfp_emulator.server import experiments, reporting, scheduled_runs
from kfp_emulator.server.run_creation import request_again

if TYPE_CHECKING:
    from kfp_emulator.server.state import Backend

API_SERVER = "ml-pipeline"
"""The component that a restart of the server is a restart of."""


def resume(backend: Backend) -> None:
    """Submit the unfinished runs of a kept store again: being deterministic, they catch up at once."""
    for run_id, state, _ in backend.runs.unfinished():
        request = request_again(backend, run_id)
        if request is None:
            continue
        try:
            backend.cluster.submit(request)
        except InvalidPipeline:
            continue
        if state == "CANCELING":
            backend.cluster.terminate(run_id)
    scheduled_runs.resume(backend)


def went_down(backend: Backend, *, forget: bool) -> None:
    """Stop for a while: counters restart, reports wait; with `forget` nothing is left."""
    backend.metrics.reset()
    backend.inbox.down = True
    backend.kubernetes.components.went_down(API_SERVER)
    if forget:
        backend.forget()
    backend.store.commit()


def came_up(backend: Backend) -> None:
    """Serve again; the default experiment is made as at every start."""
    if not backend.access.multi_user:
        experiments.default_experiment(backend)
    reporting.came_up(backend)
    backend.kubernetes.components.came_up(API_SERVER)
