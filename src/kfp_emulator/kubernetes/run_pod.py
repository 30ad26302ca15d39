"""A pod of a run: what it is, and the true times of what happened to it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kfp_emulator.kubernetes.identity import address, uid
from kfp_emulator.kubernetes.journal import DELETED, Recorded
from kfp_emulator.kubernetes.pod_stages import COMPLETED, SCHEDULED, phase_at

if TYPE_CHECKING:
    from kfp_emulator.cluster.frames import Pod
    from kfp_emulator.cluster.pods import Moments
    from kfp_emulator.cluster.requests import RunRequest
    from kfp_emulator.protocol.wire import OutwardTime

_ON_EXIT = re.compile(r"\.onExit\b")


class RunPod(Recorded):
    """A pod of a run; times are microseconds, `phase` is that of Argo's node once it has ended."""

    __slots__ = (
        "_last",
        "_path",
        "attempt",
        "created",
        "doubled",
        "ended",
        "hash",
        "image",
        "inputs",
        "killed",
        "kind",
        "moments",
        "node",
        "nodes",
        "on_exit",
        "oom_killed",
        "phase",
        "plan",
        "request",
        "started",
        "task",
        "template",
        "time",
        "workflow",
    )

    def __init__(
        self, pod: Pod, request: RunRequest, time: OutwardTime, now: int, *, doubled: bool, nodes: int
    ) -> None:
        run, node = pod.run, pod.node
        self.workflow = pod.workflow.name
        super().__init__("pods", request.namespace, f"{self.workflow}-{node.template}-{node.hash}")
        self.request = request
        self.time = time
        self.plan = run.plan
        self.inputs = run.inputs
        self.kind = pod.kind
        self.template = node.template
        self.hash = node.hash
        self.attempt = pod.attempt
        self.image = pod.image
        self.on_exit = run.frame.exit
        self.doubled = doubled
        self.nodes = nodes
        self.created = now
        self.node = ""
        self.moments: Moments | None = None
        self.started: int | None = None
        self.killed: int | None = None
        self.ended: int | None = None
        self.phase = ""
        self.oom_killed = False
        # An executor is inside its task, and so is the driver of a loop; other drivers are beside theirs.
        self._path = run.path if self.kind == "executor" or run.looped else run.frame.path
        self._last = node.name
        self.task = run.path.removeprefix("root").removeprefix(".")

    @property
    def node_id(self) -> str:
        """Argo's id of its node."""
        return f"{self.workflow}-{self.hash}"

    @property
    def node_name(self) -> str:
        """Argo's name of its node: the path of the templates around it, each with the number of its try."""
        names = [name.replace("\0", ".onExit") for name in _ON_EXIT.sub("\0", self._path).split(".") if name]
        suffix = "(0)" if self.doubled else ""
        around = [f"{name}{suffix}" for name in (self.workflow, *names)]
        return ".".join((*around, self._last))

    @property
    def uid(self) -> str:
        """The UID of the object; a pod that is made again under the same name has another."""
        return uid(self.request.run_id, self.name, self.created)

    def labels(self, place: int) -> dict[str, str]:
        """Return the labels that KFP and Argo give it."""
        labels = {
            "pipeline/runid": self.request.run_id,
            "pipelines.kubeflow.org/v2_component": "true",
            "workflows.argoproj.io/completed": "true" if self.stage(place) == COMPLETED else "false",
            "workflows.argoproj.io/workflow": self.workflow,
        }
        if self.on_exit:
            labels["workflows.argoproj.io/on-exit"] = "true"
        return labels

    def stage(self, place: int) -> int:
        """Return the stage of a version; of the one that deleted it, the stage before."""
        stage = self.versions[place].stage
        return self.versions[place - 1].stage if stage == DELETED else stage

    def fields(self, place: int) -> dict[str, str]:
        """Return the fields that selectors may name."""
        stage = self.stage(place)
        return {
            "metadata.name": self.name,
            "metadata.namespace": self.namespace,
            "spec.nodeName": self.node if stage >= SCHEDULED else "",
            "spec.restartPolicy": "Never",
            "spec.schedulerName": "default-scheduler",
            "spec.serviceAccountName": self.request.service_account,
            "spec.hostNetwork": "false",
            "status.phase": phase_at(stage, self.phase),
            "status.podIP": address(self.uid) if stage > SCHEDULED else "",
            "status.nominatedNodeName": "",
        }
