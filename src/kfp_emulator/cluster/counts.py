"""What the cluster has done so far, and how many workflows and pods are in which phase."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import TYPE_CHECKING

from kfp_emulator.cluster.controller_stats import ControllerStats
from kfp_emulator.cluster.nodes import PENDING, RUNNING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kfp_emulator.cluster.cluster_run import ClusterRun
    from kfp_emulator.cluster.frames import Pod

COUNTED_WORKFLOWS = 100_000
"""How many workflows that have ended are counted by phase, the newest ones."""


class ClusterCounts:
    """Looks of the controller, pods created and reports since the beginning; `controller` since its last start."""

    __slots__ = ("_ended", "controller", "looks", "pods", "reports")

    def __init__(self) -> None:
        self.looks = 0
        self.pods = 0
        self.reports = 0
        self.controller = ControllerStats()
        self._ended: OrderedDict[str, str] = OrderedDict()

    def looked(self, run: ClusterRun, *, began: bool) -> None:
        """Count a look, and the phases that the workflow has entered in it."""
        self.looks += 1
        workflow, entered = run.workflow, self.controller.workflows
        if began:
            entered[run.request.namespace, RUNNING] += 1
            self._ended.pop(workflow.run_id, None)
        if workflow.changed and workflow.finished_at is not None:
            entered[run.request.namespace, workflow.phase] += 1
            self._ended[workflow.run_id] = workflow.phase
            if len(self._ended) > COUNTED_WORKFLOWS:
                self._ended.popitem(last=False)

    def pod_changed(self, run: ClusterRun, pod: Pod) -> None:
        """Count the phase that a pod has entered."""
        phase = RUNNING if pod.ended is None else pod.phase
        self.controller.pods[run.request.namespace, phase] += 1

    def deleted(self, run_id: str) -> None:
        """Forget a workflow that was deleted."""
        self._ended.pop(run_id, None)

    def reset(self) -> None:
        """Forget all workflows: they are lost."""
        self._ended.clear()

    def workflows(self, runs: Iterable[ClusterRun]) -> dict[str, int]:
        """Return how many workflows are in each phase; `runs` are those that may not have ended."""
        open_ = [run.workflow for run in runs if run.workflow.finished_at is None]
        begun = sum(workflow.started_at is not None for workflow in open_)
        return {PENDING: len(open_) - begun, RUNNING: begun, **Counter(self._ended.values())}


def pod_phases(runs: Iterable[ClusterRun]) -> dict[str, int]:
    """Return how many pods of workflows that have not ended wait for their start, and run."""
    pods = [pod for run in runs for pod in run.workflow.live_pods if pod.ended is None]
    started = sum(pod.started is not None for pod in pods)
    return {PENDING: len(pods) - started, RUNNING: started}
