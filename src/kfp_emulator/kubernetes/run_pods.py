"""The pods of runs as Kubernetes objects: which stage they have reached at which resource version.

The kubelet's stages: a pod is created, scheduled (or found unschedulable), its init containers run, it is
initialized, the image of its main container is pulled if it must be, its containers run, it ends; then Argo's
controller labels it as completed, and it stays until its run is deleted or too many have ended.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from functools import partial
from typing import TYPE_CHECKING

from kfp_emulator.kubernetes.journal import DELETED, Journal
from kfp_emulator.kubernetes.pod_stages import (
    COMPLETED,
    CREATED,
    ENDED,
    INITIALIZED,
    INITIALIZING,
    RUNNING,
    SCHEDULED,
    TERMINATING,
    UNSCHEDULABLE,
)
from kfp_emulator.kubernetes.run_pod import RunPod
from kfp_emulator.kubernetes.surroundings import state_namespace

if TYPE_CHECKING:
    from kfp_emulator.clock import Clock
    from kfp_emulator.cluster.frames import Pod
    from kfp_emulator.cluster.pods import Moments
    from kfp_emulator.cluster.requests import RunRequest
    from kfp_emulator.protocol.wire import OutwardTime

MOST_ENDED = 12_500
"""How many pods that have ended are kept (--terminated-pod-gc-threshold of kube-controller-manager)."""
DELETION_MICROSECONDS = 2_000_000
"""From the deletion of a workflow until the garbage collector has deleted its pods."""


class RunPods:
    """The log of the cluster's pods (cluster.pods.PodLog): writes each change into the journal."""

    def __init__(
        self, journal: Journal, clock: Clock, time: OutwardTime, *, doubled: bool, nodes: int
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._time = time
        self._doubled = doubled
        self._nodes = nodes
        self._by_run: OrderedDict[str, list[RunPod]] = OrderedDict()
        self._ended: deque[RunPod] = deque()

    def of_run(self, run_id: str) -> list[RunPod]:
        """Return the pods of a run that are there, in the order of their creation."""
        return [pod for pod in self._by_run.get(run_id, ()) if pod.versions[-1].stage != DELETED]

    def runs(self) -> list[str]:
        """Return the runs that have pods."""
        return list(self._by_run)

    def created(self, pod: Pod, request: RunRequest) -> None:
        """A pod was created; one of the same name, which a retry runs again, goes before."""
        seen = pod.seen = RunPod(
            pod, request, self._time, self._clock.now(), doubled=self._doubled, nodes=self._nodes
        )
        state_namespace(self._journal, self._time, seen.namespace)
        before = self._journal.get("pods", seen.namespace, seen.name)
        if isinstance(before, RunPod):
            self._delete(before)
        self._by_run.setdefault(request.run_id, []).append(seen)
        self._journal.record(seen, CREATED)

    def unschedulable(self, pod: Pod) -> None:
        """A pod found no place."""
        self._journal.record(pod.seen, UNSCHEDULABLE)

    def placed(self, pod: Pod, moments: Moments) -> None:
        """A pod found a place, and will reach the stages until it runs."""
        seen: RunPod | None = pod.seen
        if pod.place is None or seen is None:
            return
        seen.node = pod.place.name
        seen.moments = moments
        now = self._clock.now()
        if moments.started <= now:
            return  # it starts at once: the stages before take no time
        for stage, at in (
            (SCHEDULED, moments.scheduled),
            (INITIALIZING, moments.first_container),
            (INITIALIZED, moments.initialized),
        ):
            if at <= now:
                self._reach(seen, stage)
            else:
                self._clock.call_at(at, partial(self._reach, seen, stage))

    def _reach(self, seen: RunPod, stage: int) -> None:
        if seen.killed is None and seen.started is None and seen.versions[-1].stage != DELETED:
            self._journal.record(seen, stage)

    def started(self, pod: Pod) -> None:
        """The containers of a pod run."""
        seen: RunPod | None = pod.seen
        if seen is not None:
            seen.started = pod.started
            self._journal.record(seen, RUNNING)

    def terminating(self, pod: Pod) -> None:
        """Argo ends the containers of a pod that runs, and deletes one that does not run yet."""
        seen: RunPod | None = pod.seen
        if seen is not None:
            seen.killed = self._clock.now()
            if seen.started is None and seen.node:
                self._journal.record(seen, TERMINATING)

    def ended(self, pod: Pod) -> None:
        """A pod has ended; what never ran is deleted."""
        seen: RunPod | None = pod.seen
        if seen is None or seen.ended is not None:
            return
        seen.started = pod.started
        seen.ended = self._clock.now() if pod.ended is None else pod.ended
        seen.phase = pod.phase
        seen.oom_killed = pod.oom_killed
        if seen.started is None:
            self._delete(seen)
            return
        self._journal.record(seen, ENDED)
        self._ended.append(seen)
        while len(self._ended) > MOST_ENDED:
            self._delete(self._ended.popleft())

    def labelled(self, pod: Pod) -> None:
        """The controller labels a pod whose end it has seen."""
        seen: RunPod | None = pod.seen
        if seen is not None and seen.versions[-1].stage == ENDED:
            self._journal.record(seen, COMPLETED)

    def removed(self, run_id: str) -> None:
        """The garbage collector deletes the pods of a deleted workflow after a while."""
        if run_id in self._by_run:
            at = self._clock.now() + DELETION_MICROSECONDS
            self._clock.call_at(at, partial(self._delete_all, run_id))

    def reset(self) -> None:
        """Delete every pod."""
        for run_id in self.runs():
            self._delete_all(run_id)
        self._ended.clear()

    def _delete_all(self, run_id: str) -> None:
        for seen in self._by_run.pop(run_id, ()):
            self._delete(seen)

    def _delete(self, seen: RunPod) -> None:
        if seen.versions[-1].stage == DELETED:
            return
        self._journal.record(seen, DELETED)
        pods = self._by_run.get(seen.request.run_id)
        if pods is not None and seen in pods:
            pods.remove(seen)
            if not pods:
                del self._by_run[seen.request.run_id]
