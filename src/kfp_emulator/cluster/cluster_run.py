"""A run in the cluster: the request, its workflow, and what is planned for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kfp_emulator.clock import Event
    from kfp_emulator.cluster.requests import RunRequest
    from kfp_emulator.cluster.workflow import Workflow


@dataclass(slots=True, eq=False)
class ClusterRun:
    """A run in the cluster.

    `passing` is the controller's next look at its workflow, due at `pass_at`; `reporting` whether a report is
    under way; `sending` whether a pass still waits for its requests, and `postponed` whether another is due
    meanwhile; `gone` whether the workflow has been reported to its end, or deleted. `executions` are anonymous
    entries of the task cache: their id, and when they were made. `decided` are outputs that the control API
    decided, by the path of the task: they stay as they were when the run is retried.
    """

    request: RunRequest
    workflow: Workflow
    passing: Event | None = None
    pass_at: int = 0
    reporting: bool = False
    sending: bool = False
    postponed: bool = False
    gone: bool = False
    executions: list[tuple[int, int]] = field(default_factory=list)
    decided: dict[str, dict[str, Any]] = field(default_factory=dict)
