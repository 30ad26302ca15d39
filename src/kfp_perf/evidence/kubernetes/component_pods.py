"""The pods of KFP's components: restarts, ends for the use of memory, and what they use against what they may."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from kfp_perf.evidence.kubernetes.component_names import component_of
from kfp_perf.evidence.kubernetes.objects import amount_of, second_of
from kfp_perf.evidence.kubernetes.records import ComponentRecord, ContainerRecord, UsageRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from kfp_perf.evidence.kubernetes.objects import ContainerStatus, Pod, PodUsage

#: On pods of the emulator, whose use of CPU and memory follows a formula.
MODELLED = "kfp-perf-emulator/modelled"
_CPU, _MEMORY = "cpu", "memory"


class ComponentPods:
    """Follows the pods of the components. `write` gets each when it is first seen, and when it changes."""

    def __init__(self, write: Callable[[ComponentRecord], object], now: Callable[[], float]) -> None:
        self._write = write
        self._now = now
        self._known: dict[str, ComponentRecord] = {}
        self._first: dict[tuple[str, str], int] = {}
        self._oom_kills: dict[tuple[str, str], tuple[int, int | None]] = {}

    @property
    def pods(self) -> set[str]:
        """The names of the pods that are there."""
        return {record.pod for record in self._known.values()}

    @property
    def restarts(self) -> int:
        """How often their containers were started again since they were first seen."""
        return sum(
            max(0, one.restarts - self._first.get((uid, one.name), one.restarts))
            for uid, record in self._known.items()
            for one in record.containers
        )

    def most_used(self, record: UsageRecord) -> str:
        """The component that is nearest to its memory limit, in words; empty where none has one that is real."""
        shares = [
            (record.bytes[one.pod].get(container.name, 0.0) / container.memory_limit, one.component)
            for one in self._known.values()
            for container in one.containers
            if container.memory_limit and one.pod in record.bytes and not one.modelled
        ]
        if not shares:
            return ""
        share, component = max(shares)
        return f"{component} at {100.0 * share:.0f} % of its limit"

    def changed(self, pod: Pod) -> None:
        """Record the state of a pod."""
        component = component_of(pod.metadata.labels or {})
        if not component:
            return
        record = self._record(pod, component)
        before = self._known.get(pod.metadata.uid)
        if before is None or msgspec.structs.replace(before, at=record.at) != record:
            self._known[pod.metadata.uid] = record
            for one in record.containers:
                self._first.setdefault((record.uid, one.name), one.restarts)
            self._write(record)

    def deleted(self, pod: Pod) -> None:
        """Record that a pod has gone."""
        self._write_gone(pod.metadata.uid)

    def listed(self, pods: Sequence[Pod]) -> None:
        """Record the state of all pods, and which have gone."""
        for uid in self._known.keys() - {pod.metadata.uid for pod in pods}:
            self._write_gone(uid)
        for pod in pods:
            self.changed(pod)

    def _write_gone(self, uid: str) -> None:
        record = self._known.pop(uid, None)
        if record is not None:
            self._write(msgspec.structs.replace(record, at=self._now(), gone=True, ready=False))

    def _record(self, pod: Pod, component: str) -> ComponentRecord:
        metadata, status = pod.metadata, pod.status
        resources_of = {one.name: one.resources for one in pod.spec.containers or ()}
        statuses = {one.name: one for one in status.container_statuses or ()}
        containers = []
        for name, resources in resources_of.items():
            requests = (resources.requests if resources else None) or {}
            limits = (resources.limits if resources else None) or {}
            container = statuses.get(name)
            containers.append(
                ContainerRecord(
                    name=name,
                    restarts=container.restart_count if container else 0,
                    oom_kills=self._count_oom_kills(metadata.uid, container) if container else 0,
                    last_exit=container.ends[0].exit_code if container and container.ends else None,
                    cpu_request=amount_of(requests.get(_CPU)),
                    cpu_limit=amount_of(limits.get(_CPU)),
                    memory_request=amount_of(requests.get(_MEMORY)),
                    memory_limit=amount_of(limits.get(_MEMORY)),
                )
            )
        ready = any(one.type == "Ready" and one.status == "True" for one in status.conditions or ())
        return ComponentRecord(
            at=self._now(),
            component=component,
            pod=metadata.name,
            uid=metadata.uid,
            node=pod.spec.node_name,
            created=second_of(metadata.creation_timestamp) or 0,
            ready=ready,
            modelled=MODELLED in (metadata.annotations or {}),
            containers=containers,
        )

    def _count_oom_kills(self, uid: str, container: ContainerStatus) -> int:
        """Count the ends for memory: each has a time of its own, and only the last is shown."""
        key = (uid, container.name)
        count, last = self._oom_kills.get(key, (0, None))
        if (kill := container.oom_kill) is not None:
            ended = second_of(kill.finished_at)
            if count == 0 or ended != last:
                count, last = count + 1, ended
                self._oom_kills[key] = count, last
        return count


def usage_record(pods: Iterable[PodUsage], known: set[str], at: float) -> UsageRecord:
    """What the known pods used, in cores and bytes."""
    cores: dict[str, dict[str, float]] = {}
    memory: dict[str, dict[str, float]] = {}
    for pod in pods:
        name = pod.metadata.name
        if name not in known:
            continue
        for container in pod.containers:
            for resource, table, digits in ((_CPU, cores, 6), (_MEMORY, memory, 0)):
                amount = amount_of(container.usage.get(resource))
                if amount is not None:
                    table.setdefault(name, {})[container.name] = round(amount, digits)
    return UsageRecord(at=at, cores=cores, bytes=memory)
