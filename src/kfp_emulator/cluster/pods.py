"""Pods on the modelled cluster: the places on its nodes, and a pod's life from its creation to its end."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple, Protocol

from kfp_emulator.clock import SECOND
from kfp_emulator.cluster.kubernetes_node import KubernetesNode
from kfp_emulator.cluster.nodes import ERROR, FAILED, SUCCEEDED

if TYPE_CHECKING:
    from collections.abc import Collection

    from kfp_emulator.clock import Clock
    from kfp_emulator.cluster.frames import Pod
    from kfp_emulator.cluster.outcomes import Outcome
    from kfp_emulator.cluster.requests import RunRequest
    from kfp_emulator.cluster.timing import Profile


class Places:
    """The places for pods on all nodes; pods wait in the order in which they came.

    `pods_per_node` 0 is without limit.
    """

    def __init__(self, nodes: int, pods_per_node: int) -> None:
        self._nodes = [KubernetesNode(f"node-{number}") for number in range(nodes)]
        self._limit = pods_per_node
        self._next = 0
        self._free = nodes * pods_per_node
        self._waiting: deque[Pod] = deque()

    def __len__(self) -> int:
        return sum(not pod.killed for pod in self._waiting)

    def take(self, pod: Pod) -> KubernetesNode | None:
        """Give a pod a place on a node, in turn; with none free it waits, and None is returned."""
        if self._limit and not self._free:
            self._waiting.append(pod)
            return None
        return self._give()

    def release(self, node: KubernetesNode) -> None:
        """Take back the place of a pod that has gone."""
        node.pods -= 1
        self._free += 1

    def next_waiting(self) -> tuple[Pod, KubernetesNode] | None:
        """Return the pod that has waited longest with its place, None where none waits or no place is free."""
        while self._waiting and (not self._limit or self._free):
            pod = self._waiting.popleft()
            if not pod.killed:
                return pod, self._give()
        return None

    def _give(self) -> KubernetesNode:
        nodes = self._nodes
        while True:
            node = nodes[self._next]
            self._next = (self._next + 1) % len(nodes)
            if not self._limit or node.pods < self._limit:
                node.pods += 1
                self._free -= 1
                return node


class Observer(Protocol):
    """Receives the events of pods."""

    def pod_changed(self, pod: Pod) -> None:
        """A pod has started, or ended."""
        ...

    def decided(self, pod: Pod) -> Outcome | None:
        """Return what was decided about the task that runs in a pod."""
        ...

    def pod_truth(self, pod: Pod, what: str, at: int) -> None:
        """Something happened to a pod at `at`."""
        ...


class PodLog(Protocol):
    """Receives every change of a pod that its Kubernetes object shows; times are microseconds."""

    def created(self, pod: Pod, request: RunRequest) -> None:
        """A pod was created for a run."""
        ...

    def unschedulable(self, pod: Pod) -> None:
        """A pod found no place, and waits for one."""
        ...

    def placed(self, pod: Pod, moments: Moments) -> None:
        """A pod found a place; `moments` are to come unless the pod is removed or terminated before."""
        ...

    def started(self, pod: Pod) -> None:
        """The program in a pod has started."""
        ...

    def terminating(self, pod: Pod) -> None:
        """A pod is being terminated."""
        ...

    def ended(self, pod: Pod) -> None:
        """A pod has ended in its `phase`; one without a place is deleted."""
        ...

    def labelled(self, pod: Pod) -> None:
        """The controller has seen the end of a pod, and labelled it as completed."""
        ...

    def removed(self, run_id: str) -> None:
        """The workflow of a run was deleted, and its pods with it."""
        ...

    def reset(self) -> None:
        """Everything in the cluster was lost."""
        ...


class Moments(NamedTuple):
    """When what happens to a pod that has a place; nothing is pulled where both moments of the pull are the same.

    The kubelet runs the init containers before it pulls the image of the main container, so the time that a pod
    takes to come up lies before and after the pull.
    """

    scheduled: int
    first_container: int
    initialized: int
    pulled: int
    started: int


class Pods:
    """All pods of the cluster."""

    def __init__(self, profile: Profile, clock: Clock, observer: Observer, log: PodLog | None = None) -> None:
        self._profile = profile
        self._clock = clock
        self._observer = observer
        self._log = log
        self._places = Places(profile.nodes, profile.pods_per_node)

    def waiting(self) -> int:
        """Return how many pods have no place."""
        return len(self._places)

    def create(self, pod: Pod, request: RunRequest) -> None:
        """Put a new pod of a run on a node, or let it wait for one."""
        if self._log is not None:
            self._log.created(pod, request)
        pod.place = self._places.take(pod)
        if pod.place is not None:
            self._schedule(pod)
        elif self._log is not None:
            self._log.unschedulable(pod)

    def label(self, pods: Collection[Pod]) -> None:
        """Label those of the pods that have ended as completed: the controller has seen it."""
        if self._log is not None:
            for pod in pods:
                if pod.ended is not None:
                    self._log.labelled(pod)

    def kill(self, pod: Pod) -> None:
        """Terminate a pod; one without a place ends at once, one that is being terminated is left alone."""
        if pod.killed or pod.ended is not None:
            return
        self._forget(pod)
        pod.phase = FAILED
        if self._log is not None:
            self._log.terminating(pod)
        if pod.place is None:
            self._end(pod)
            return
        label = f"{pod.run.path}:{pod.kind}:{pod.attempt}:termination"
        took = self._profile.termination_seconds.draw(pod.workflow.draws, label)
        pod.event = self._clock.call_at(self._clock.now() + took, lambda: self._end(pod))

    def remove(self, pods: Collection[Pod]) -> None:
        """Remove the pods of a workflow that was removed, without events of the model."""
        for pod in pods:
            self._forget(pod)
            if self._log is not None and pod.ended is None:
                pod.phase = FAILED
                self._log.ended(pod)
        for pod in pods:
            self._leave(pod)

    def _forget(self, pod: Pod) -> None:
        pod.killed = True
        if pod.event is not None:
            pod.event.cancel()
            pod.event = None

    def _schedule(self, pod: Pod) -> None:
        """Plan a pod's start: it is scheduled, comes up, and its image is pulled where its node has not got it."""
        profile, draws, place = self._profile, pod.workflow.draws, pod.place
        label = f"{pod.run.path}:{pod.kind}:{pod.attempt}"
        now = self._clock.now()
        scheduled = now + profile.scheduling_seconds.draw(draws, f"{label}:scheduling")
        image, pull = pod.image, 0
        if place is not None and image not in place.images:
            place.images.add(image)
            pull = profile.image_pull_seconds.draw(draws, f"{label}:pull")
        startup = profile.startup_seconds.draw(draws, f"{label}:startup")
        initialized = scheduled + startup // 2
        moments = Moments(
            scheduled,
            scheduled + startup // 4,
            initialized,
            initialized + pull,
            scheduled + startup + pull,
        )
        if self._log is not None:
            self._log.placed(pod, moments)
        if moments.started <= now:
            self._start(pod, label, moments)
        else:
            pod.event = self._clock.call_at(moments.started, lambda: self._start(pod, label, moments))

    def _start(self, pod: Pod, label: str, moments: Moments) -> None:
        now = pod.started = self._clock.now()
        pod.event = None
        self._observer.pod_truth(pod, "pod_start", moments.first_container)
        self._observer.pod_truth(pod, "driver_start" if pod.kind == "driver" else "executor_start", now)
        took = self._decide(pod, label)
        if took == 0:
            self._end(pod)
            return
        if took is not None:
            pod.event = self._clock.call_at(now + took, lambda: self._end(pod))
        if self._log is not None:
            self._log.started(pod)
        self._observer.pod_changed(pod)

    def _decide(self, pod: Pod, label: str) -> int | None:
        """Decide how a pod ends, and return after how many microseconds; None if it never does by itself."""
        profile, draws = self._profile, pod.workflow.draws
        pod.phase = SUCCEEDED
        if pod.kind == "driver":
            return profile.driver_seconds.draw(draws, label)
        name = pod.run.plan.name
        usual = profile.importer_seconds if pod.kind == "importer" else profile.executor_distribution(name)
        took = usual.draw(draws, label)
        outcome = self._observer.decided(pod)
        if outcome is not None:
            if outcome.failures < 0 or pod.attempt < outcome.failures:
                pod.phase = ERROR if outcome.error else FAILED
                pod.oom_killed = outcome.oom_killed
            if outcome.seconds is not None:
                took = round(outcome.seconds * SECOND)
            return None if outcome.stuck else took
        share = profile.executor_failure_share if pod.kind == "executor" else 0.0
        if share and draws.uniform(f"{label}:fails") < share:
            pod.phase = FAILED
        return took

    def _end(self, pod: Pod) -> None:
        now = pod.ended = self._clock.now()
        pod.event = None
        if self._log is not None:
            self._log.ended(pod)
        self._observer.pod_truth(pod, "driver_end" if pod.kind == "driver" else "executor_end", now)
        self._observer.pod_changed(pod)
        self._leave(pod)

    def _leave(self, pod: Pod) -> None:
        """Give back a pod's place, and let one that waits have it."""
        if pod.place is not None:
            self._places.release(pod.place)
            pod.place = None
        while (found := self._places.next_waiting()) is not None:
            waiting, waiting.place = found[0], found[1]
            self._schedule(waiting)
