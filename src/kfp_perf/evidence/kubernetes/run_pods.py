"""Pods of runs, from their creation to their end: a line each when they are over."""

from __future__ import annotations

import heapq
import re
from collections import OrderedDict
from typing import TYPE_CHECKING

from kfp_perf.evidence.kubernetes.objects import RUN_LABEL, second_of
from kfp_perf.evidence.kubernetes.records import NO_PULL_SECONDS, SUCCEEDED, PodRecord, PodTimes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from kfp_perf.evidence.kubernetes.objects import ContainerStatus, Event, PodStatus, RunPod

#: The events of a pod come by another watch, and may be later than its end.
_EVENTS_LATE_SECONDS = 3.0
#: The same where a pull has begun and its end was not seen.
_PULLS_LATE_SECONDS = 30.0
#: Of pods that are not followed, or not yet.
_MOST_WITH_EVENTS = 20_000
#: By how much the clocks of the cluster and of this machine may differ.
_CLOCKS_APART_SECONDS = 60.0
_OVER = frozenset({SUCCEEDED, "Failed"})
_MAIN = "main"
_ROLE = "pipelines.kubeflow.org/runtime-role"
_ROLES = {"driver": "driver", "launcher": "executor"}
_LONGEST_MESSAGE = 200


class _Pulls:
    """What the events show of one pod: image pulls by container, and why it had no node.

    `ends` has the seconds that a pull took, None where the node had the image. An event may come more than once.
    """

    __slots__ = ("begins", "ends", "unschedulable", "waited_for")

    def __init__(self) -> None:
        self.begins: dict[str, float] = {}
        self.ends: dict[str, float | None] = {}
        self.unschedulable = ""
        self.waited_for = False

    @property
    def pending(self) -> bool:
        """Whether a pull has begun and its end was not seen."""
        return not self.begins.keys() <= self.ends.keys()

    @property
    def took(self) -> list[float] | None:
        """How long each pull took; None where that is not known."""
        if self.pending or not self.ends:
            return None
        return [seconds for seconds in self.ends.values() if seconds is not None]


class RunPods:
    """Follows the pods of runs. `write` gets each when it is over or has gone, and the others at `close`.

    `now` is the time in seconds; `changed` and the others are what a `Follower` calls.
    """

    def __init__(self, write: Callable[[PodRecord], object], now: Callable[[], float]) -> None:
        self.changes = 0
        """How many states of pods were seen."""
        self._write = write
        self._now = now
        self._began = now()
        self._pods: dict[str, RunPod] = {}
        self._ended: list[tuple[float, str]] = []
        self._written: set[str] = set()
        self._pulls: OrderedDict[str, _Pulls] = OrderedDict()

    def open(self) -> tuple[int, int]:
        """How many pods have no node, and how many have one and are not over."""
        waiting = started = 0
        for pod in self._pods.values():
            if pod.status.phase not in _OVER:
                has_node = bool(pod.spec.node_name)
                waiting, started = waiting + (not has_node), started + has_node
        return waiting, started

    def changed(self, pod: RunPod) -> None:
        """Record the state of a pod."""
        self.changes += 1
        uid = pod.metadata.uid
        if uid in self._written:
            return
        before = self._pods.get(uid)
        if before is None and self._is_of_an_earlier_run(pod):
            return
        self._pods[uid] = pod
        if pod.status.phase in _OVER and (before is None or before.status.phase not in _OVER):
            heapq.heappush(self._ended, (self._now() + _EVENTS_LATE_SECONDS, uid))

    def _is_of_an_earlier_run(self, pod: RunPod) -> bool:
        """Whether a pod that is seen for the first time was over before the test: a whole list has them."""
        created = second_of(pod.metadata.creation_timestamp) or 0
        return pod.status.phase in _OVER and created < self._began - _CLOCKS_APART_SECONDS

    def deleted(self, pod: RunPod) -> None:
        """Write a pod that has gone: nothing more will be seen of it."""
        uid = pod.metadata.uid
        if uid in self._written:
            self._written.discard(uid)
        elif self._pods.pop(uid, None) is not None or not self._is_of_an_earlier_run(pod):
            self._finish(pod, deleted=True)
        self._pulls.pop(uid, None)

    def listed(self, pods: Sequence[RunPod]) -> None:
        """Record the state of all pods; write those that have gone in a gap of the watch, in their last state."""
        there = {pod.metadata.uid for pod in pods}
        self._written &= there
        for uid in [uid for uid in self._pods if uid not in there]:
            self._finish(self._pods.pop(uid), deleted=True)
        for pod in pods:
            self.changed(pod)

    def happened(self, event: Event) -> None:
        """Record an event about a pod."""
        uid = event.involved_object.uid
        if uid in self._written:
            return
        pulls = self._pulls.get(uid)
        if pulls is None:
            pulls = self._pulls[uid] = _Pulls()
            if len(self._pulls) > _MOST_WITH_EVENTS:
                self._pulls.popitem(last=False)
        _note(pulls, event)

    def all_happened(self, events: Sequence[Event]) -> None:
        """Record several events."""
        for event in events:
            self.happened(event)

    def write_ended(self) -> None:
        """Write the pods that have been over for long enough; to be called about once a second."""
        now = self._now()
        while self._ended and self._ended[0][0] <= now:
            _, uid = heapq.heappop(self._ended)
            pulls = self._pulls.get(uid)
            if pulls is not None and pulls.pending and not pulls.waited_for:
                pulls.waited_for = True
                heapq.heappush(self._ended, (now + _PULLS_LATE_SECONDS, uid))
            else:
                self._write_one(uid)

    def close(self) -> None:
        """Write all pods: those that are over, and those that are not, as they stand."""
        for uid in list(self._pods):
            self._write_one(uid)

    def _write_one(self, uid: str) -> None:
        pod = self._pods.pop(uid, None)
        if pod is not None:
            self._written.add(uid)
            self._finish(pod, deleted=False)

    def _finish(self, pod: RunPod, *, deleted: bool) -> None:
        self._write(record_of(pod, self._pulls.pop(pod.metadata.uid, None), deleted=deleted))


def record_of(pod: RunPod, pulls: _Pulls | None, *, deleted: bool) -> PodRecord:
    """The line of a pod, in whole seconds of the cluster's clock."""
    metadata, status = pod.metadata, pod.status
    created = second_of(metadata.creation_timestamp) or 0

    def since(second: int | None) -> int | None:
        return None if second is None else second - created

    containers = status.container_statuses or []
    inits = status.init_container_statuses or []
    main = next((one for one in containers if one.name == _MAIN), None)
    started, finished, exit_code = _times(main)
    ends = [end for one in containers if (end := _times(one)[1]) is not None]
    over = status.phase in _OVER
    took = pulls.took if pulls is not None else None
    main_ended = main is not None and main.state is not None and main.state.terminated
    return PodRecord(
        run_id=(metadata.labels or {}).get(RUN_LABEL, ""),
        pod=metadata.name,
        role=_role(pod),
        node=pod.spec.node_name,
        phase=SUCCEEDED if status.phase == SUCCEEDED else status.phase,
        reason=status.reason
        or (main_ended.reason if main_ended and main_ended.reason != "Completed" else ""),
        message=status.message[:_LONGEST_MESSAGE],
        created=created,
        times=PodTimes(
            scheduled=since(_condition(status, "PodScheduled")),
            initialized=since(_condition(status, "Initialized")),
            started=since(started),
            finished=since(finished),
            ended=since(max(ends)) if over and len(ends) == len(containers) and ends else None,
        ),
        restarts=sum(one.restart_count for one in (*inits, *containers)),
        oom_killed=any(one.oom_kill is not None for one in (*inits, *containers)),
        exit_code=exit_code,
        pulls=None if took is None else len(took),
        pull_seconds=round(sum(took), 3) if took else NO_PULL_SECONDS,
        pulling=started is None and pulls is not None and pulls.pending,
        unschedulable=pulls.unschedulable if pulls is not None else _why_unscheduled(status),
        over=over,
        deleted=deleted,
    )


def _times(container: ContainerStatus | None) -> tuple[int | None, int | None, int | None]:
    """When a container started and finished, and its exit code."""
    state = container.state if container is not None else None
    if state is not None and (ended := state.terminated) is not None:
        return second_of(ended.started_at), second_of(ended.finished_at), ended.exit_code
    if state is not None and state.running is not None:
        return second_of(state.running.started_at), None, None
    return None, None, None


def _condition(status: PodStatus, kind: str) -> int | None:
    for condition in status.conditions or ():
        if condition.type == kind and condition.status == "True":
            return second_of(condition.last_transition_time)
    return None


def _why_unscheduled(status: PodStatus) -> str:
    for condition in status.conditions or ():
        if condition.type == "PodScheduled" and condition.status == "False":
            return condition.message[:_LONGEST_MESSAGE]
    return ""


def _role(pod: RunPod) -> str:
    """What a pod is for: `driver`, `executor` or `other`. Before releases with the annotation, by its name."""
    role = (pod.metadata.annotations or {}).get(_ROLE)
    if role is not None:
        return _ROLES.get(role, "other")
    name = pod.metadata.name
    return "driver" if "-driver-" in name else "executor" if "-system-container-impl-" in name else "other"


# The texts are kubelet's, pkg/kubelet/images/image_manager.go; releases before 1.29 give one duration only.
_GO_DURATION = r"(\d[\d.hmnuµs]*s)"
_PULLED = re.compile(
    rf"Successfully pulled image .* in {_GO_DURATION}(?: \({_GO_DURATION} including waiting\))?"
)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|us|µs|ns|m|s)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def _note(pulls: _Pulls, event: Event) -> None:
    container = event.involved_object.field_path
    at = _at(event.last_timestamp or event.event_time)
    if event.reason == "FailedScheduling":
        pulls.unschedulable = event.message[:_LONGEST_MESSAGE]
    elif event.reason == "Pulling" and at is not None:
        pulls.begins[container] = at
    elif event.reason == "Pulled":
        begin = pulls.begins.get(container)
        if found := _PULLED.match(event.message):
            pulls.ends[container] = duration_of(found[2] or found[1])
        elif "already present" in event.message or begin is None or at is None:
            pulls.ends[container] = None
        else:
            pulls.ends[container] = max(0.0, at - begin)


def _at(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def duration_of(text: str) -> float:
    """The seconds of a duration as Go writes it (`1m2.5s`, `345.6ms`); 0 for what is none."""
    return sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(text))
