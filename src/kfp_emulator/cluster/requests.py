"""The values that the API server and the cluster exchange."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from kfp_emulator.cluster.timing import Draws

if TYPE_CHECKING:
    from kfp_emulator.pipelines.ir import Pipeline


_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"
"""The letters of Kubernetes' generated names."""
_NOT_IN_A_NAME = re.compile(r"[^a-z0-9-]+")


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A request to create a run; `parameters` are bound, `created_at` in microseconds."""

    run_id: str
    name: str
    pipeline: Pipeline
    parameters: dict[str, object]
    namespace: str = "kubeflow"
    pipeline_name: str = ""
    service_account: str = "pipeline-runner"
    created_at: int = 0
    recurring_run_id: str | None = None


class TruthEvent(NamedTuple):
    """What really happened to a run or a task, and when.

    `what` is one of queued, driver_start, driver_end, pod_start, executor_start, executor_end, task_finished,
    run_finished. `task` is the path of the task below the pipeline, empty for the run and its root. A
    pod_start is recorded when the program in the pod starts, with the time at which its first init container did.
    """

    run_id: str
    what: str
    task: str
    at_us: int


def workflow_name(request: RunRequest, seed: int) -> str:
    """Return the generated Kubernetes name of a run's workflow: the pipeline's, and five random letters."""
    given = (request.pipeline_name or request.pipeline.name).rsplit("/", 1)[-1].lower()
    base = _NOT_IN_A_NAME.sub("-", given).strip("-")[:57] or "pipeline"
    draws = Draws(seed, request.run_id)
    return f"{base}-" + "".join(_SUFFIX[draws.below(f"name:{index}", len(_SUFFIX))] for index in range(5))
