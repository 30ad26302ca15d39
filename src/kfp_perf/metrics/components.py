"""KFP's components during the test: restarts, and CPU and memory against what they may use."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from kfp_perf.evidence.kubernetes.component_names import COMPONENTS, OPEN_DATA_HUB
from kfp_perf.evidence.kubernetes.records import (
    COMPONENTS_FILE,
    USAGE_FILE,
    ContainerRecord,
    component_decoder,
    usage_decoder,
)
from kfp_perf.metrics.collector import EvidenceFamily
from kfp_perf.metrics.endpoint import LEVELS, levels, measured_stretch
from kfp_perf.metrics.metric import Metric, Unit
from kfp_perf.metrics.pods import pods_of_test

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kfp_perf.evidence.kubernetes.records import ComponentRecord, UsageRecord
    from kfp_perf.evidence.readings import Stretch
    from kfp_perf.result.evidence import EvidenceFiles
    from kfp_perf.result.reader import ScenarioFiles

_OF = ("components", "by_name", "*")
_STATUS = "the Kubernetes API: statuses of the components' pods"
_USAGE = "the Kubernetes API: metrics.k8s.io, and the limits of containers"
#: Pods that appear later than this after the first were started during the test.
_FIRST_LIST_SECONDS = 2.0
#: metrics-server measures every 15 s: a test may begin and end between.
_BESIDE_SECONDS = 15.0
#: What a pod used is not known any more when it was measured so long ago.
_STALE_SECONDS = 60.0


def _level(name: str, key: str, unit: Unit, meaning: str) -> Metric:
    return Metric(f"components.*.{name}", unit, meaning, _USAGE, (*_OF, key), LEVELS, (*_OF, key, "n"))


def _count(name: str, meaning: str) -> Metric:
    return Metric(f"components.*.{name}", Unit.COUNT, meaning, _STATUS, (*_OF, name))


class ComponentMetrics(EvidenceFamily):
    """KFP's components, from when the test began to when it ended; what they used, in the measured time.

    Left out where the cluster that was read is not the target's, as far as is known.
    """

    metrics: ClassVar[tuple[Metric, ...]] = (
        _count("restarts", "How often containers of one component were started again during the test."),
        _count("oom_kills", "How often one of them was ended for its use of memory during the test."),
        _count("replaced_pods", "Pods of the component that were deleted during the test."),
        _level("cpu", "cpu_cores", Unit.CORES, "CPU that all pods of the component used."),
        _level("memory", "memory_bytes", Unit.BYTES, "Memory that all pods of the component used."),
        _level(
            "cpu_share_of_limit",
            "cpu_share_of_limit",
            Unit.SHARE,
            "CPU used as a share of its limit, of the container that is nearest to it.",
        ),
        _level(
            "memory_share_of_limit",
            "memory_share_of_limit",
            Unit.SHARE,
            "Memory used as a share of its limit, of the container that is nearest to it.",
        ),
    )

    def __init__(self) -> None:
        self._components: dict[str, ComponentHistory] = {}
        self._stretch: Stretch | None = None

    def on_evidence(self, evidence: EvidenceFiles, scenarios: Sequence[ScenarioFiles]) -> None:
        """Read the states of the components' pods and what they used."""
        if not pods_of_test(evidence, scenarios).is_target:
            return
        self._stretch = measured_stretch(scenarios)
        self._components = read_histories(evidence)

    def result(self) -> dict[str, Any]:
        """The figures by component; empty where there are none."""
        by_name = {name: history.result(self._stretch) for name, history in self._components.items()}
        if not by_name:
            return {}
        modelled = any(history.modelled for history in self._components.values())
        return {**({"modelled": True} if modelled else {}), "by_name": by_name}


def read_histories(evidence: EvidenceFiles) -> dict[str, ComponentHistory]:
    """What was seen of each component, in the order in which they are shown."""
    found: dict[str, ComponentHistory] = {}
    by_pod: dict[str, str] = {}
    began: float | None = None
    for record in evidence.read(COMPONENTS_FILE, component_decoder):
        began = record.at if began is None else began
        by_pod[record.pod] = record.component
        history = found.setdefault(record.component, ComponentHistory())
        history.add(record, is_new=record.at > began + _FIRST_LIST_SECONDS)
    for usage in evidence.read(USAGE_FILE, usage_decoder):
        for name, history in found.items():
            history.use(usage, [pod for pod, component in by_pod.items() if component == name])
    order = {name: place for place, name in enumerate(dict.fromkeys((*COMPONENTS, *OPEN_DATA_HUB)))}
    return dict(sorted(found.items(), key=lambda one: order.get(one[0], len(order))))


class ComponentHistory:
    """What was seen of one component.

    `points` are the times and values of each figure of its use, `restarted` the times at which its containers had
    started again. `modelled`: an emulator made up what it used.
    """

    def __init__(self) -> None:
        self.modelled = False
        self.restarted: list[float] = []
        self.points: dict[str, list[tuple[float, float]]] = {}
        self._first: dict[tuple[str, str], ContainerRecord] = {}
        self._last: dict[tuple[str, str], ContainerRecord] = {}
        self._resources: dict[tuple[str, str], ContainerRecord] = {}
        self._pods: dict[str, bool] = {}
        self._gone: dict[str, float] = {}
        self._used: dict[str, UsageRecord] = {}

    def add(self, record: ComponentRecord, *, is_new: bool) -> None:
        """Record the state of a pod; `is_new`: it appeared during the test."""
        self.modelled |= record.modelled
        for container in record.containers:
            key = (record.uid, container.name)
            # A container of a new pod was started for the first time during the test.
            first = ContainerRecord(name=container.name) if is_new else container
            before = self._last.get(key) or self._first.setdefault(key, first)
            self.restarted += [record.at] * max(0, container.restarts - before.restarts)
            self._last[key] = container
            self._resources[record.pod, container.name] = container
        self._pods[record.uid] = record.gone
        if record.gone:
            self._gone[record.pod] = record.at
        else:  # a StatefulSet gives the next pod the same name
            self._gone.pop(record.pod, None)

    def use(self, usage: UsageRecord, pods: Iterable[str]) -> None:
        """Record what its pods used: each as it was measured last, since not all are measured at the same time."""
        fresh = [pod for pod in pods if pod in usage.cores or pod in usage.bytes]
        if not fresh:
            return
        self._used |= dict.fromkeys(fresh, usage)
        used = {
            pod: one for pod, one in self._used.items() if self._is_there(pod, usage.at - one.at, usage.at)
        }
        cores = {
            (pod, one): value for pod, at in used.items() for one, value in at.cores.get(pod, {}).items()
        }
        memory = {
            (pod, one): value for pod, at in used.items() for one, value in at.bytes.get(pod, {}).items()
        }
        shares = {
            "cpu_share_of_limit": [
                amount / limit for key, amount in cores.items() if (limit := self._limits(key).cpu_limit)
            ],
            "memory_share_of_limit": [
                amount / limit for key, amount in memory.items() if (limit := self._limits(key).memory_limit)
            ],
        }
        found = {"cpu_cores": sum(cores.values()), "memory_bytes": sum(memory.values())}
        found |= {name: max(values) for name, values in shares.items() if values}
        for name, value in found.items():
            self.points.setdefault(name, []).append((usage.at, value))

    def _is_there(self, pod: str, age_seconds: float, at: float) -> bool:
        return age_seconds <= _STALE_SECONDS and at < self._gone.get(pod, math.inf)

    def _limits(self, key: tuple[str, str]) -> ContainerRecord:
        return self._resources.get(key) or ContainerRecord(name="")

    def result(self, stretch: Stretch | None) -> dict[str, Any]:
        """Its figures; what it used in the stretch of time."""
        within = {name: _within(points, stretch) for name, points in self.points.items()}
        used = {
            name: {"n": len(points), **found} for name, points in within.items() if (found := levels(points))
        }
        given = {
            name: sum(
                value
                for (pod, _), one in self._resources.items()
                if pod not in self._gone and (value := getattr(one, name))
            )
            for name in ("cpu_request", "cpu_limit", "memory_request", "memory_limit")
        }
        return {
            "restarts": self._grown("restarts"),
            "oom_kills": self._grown("oom_kills"),
            "replaced_pods": sum(self._pods.values()),
            "pods_at_end": len(self._pods) - sum(self._pods.values()),
            **{name: value for name, value in given.items() if value},
            **used,
        }

    def _grown(self, what: str) -> int:
        return sum(
            max(0, getattr(last, what) - getattr(self._first[key], what)) for key, last in self._last.items()
        )


def _within(points: Sequence[tuple[float, float]], stretch: Stretch | None) -> list[tuple[float, float]]:
    if stretch is None:
        return list(points)
    begin, end = stretch.begin - _BESIDE_SECONDS, stretch.end + _BESIDE_SECONDS
    return [(at, value) for at, value in points if begin <= at <= end]
