"""Restarts of the installation's components, with what they mean for the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_emulator.clock import SECOND
from kfp_emulator.kubernetes.controller_metrics import SCHEDULE_CONTROLLER, WORKFLOW_CONTROLLER
from kfp_emulator.kubernetes.pod_status import OOM_EXIT_CODE
from kfp_emulator.server.lifecycle import API_SERVER

if TYPE_CHECKING:
    from kfp_emulator.server.state import Backend

AGENT = "ml-pipeline-persistenceagent"
OOM_KILLED = "OOMKilled"


def restart_component(
    backend: Backend, name: str, reason: str, exit_code: int | None, outage_seconds: float
) -> None:
    """End a component's container with a reason (`Error`, `OOMKilled`), and start it again after an outage.

    Meanwhile the API server refuses connections, the workflow controller looks at nothing, and the persistence
    agent reports nothing; the two controllers count from zero again. Of other components only the restart shows.
    """
    now = backend.clock.now()
    until = now + round(outage_seconds * SECOND)
    code = exit_code if exit_code is not None else OOM_EXIT_CODE if reason == OOM_KILLED else 1
    components = backend.kubernetes.components
    components.went_down(name, reason, code)
    if name == API_SERVER:
        backend.restart(outage_seconds, forget=False)
        return
    if name == WORKFLOW_CONTROLLER:
        backend.cluster.hold_controller(until)
    elif name == SCHEDULE_CONTROLLER:
        backend.schedules.stats.reset()
    elif name == AGENT:
        backend.cluster.agent.hold(until)
    backend.clock.call_at(until, lambda: components.came_up(name))
