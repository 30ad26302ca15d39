"""The resource metrics API (metrics.k8s.io): CPU and memory of pods, as metrics-server serves them.

Figures of components follow their formula; those of runs' pods are constants. Both carry the annotation MODELLED.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_emulator.kubernetes.component_documents import MODELLED
from kfp_emulator.kubernetes.pod_stages import RUNNING
from kfp_emulator.kubernetes.pod_status import rfc3339
from kfp_emulator.kubernetes.run_pod import RunPod
from kfp_emulator.kubernetes.stated import Stated

if TYPE_CHECKING:
    from kfp_emulator.kubernetes.components import Components
    from kfp_emulator.kubernetes.journal import Journal
    from kfp_emulator.protocol.wire import OutwardTime

RESOLUTION_SECONDS = 15
"""How often metrics-server looks (--metric-resolution)."""
_RUN_POD_USAGE = {
    "driver": {"wait": (2, 18), "main": (60, 40)},
    "importer": {"wait": (2, 18), "main": (40, 40)},
    "executor": {"wait": (2, 18), "main": (120, 90)},
}
"""By kind of pod and container: thousandths of a core, and MiB."""


class Usage:
    """Looks at the components at most every RESOLUTION_SECONDS, and gives their means since the look before."""

    def __init__(self, journal: Journal, components: Components, time: OutwardTime) -> None:
        self._journal = journal
        self._components = components
        self._time = time
        self._since = self._at = journal.now()
        self._seconds: dict[str, float] = {}
        self._cores: dict[str, float] = {}

    def _look(self) -> None:
        now = self._journal.now()
        passed = (now - self._at) / 1e6
        if self._cores and passed < RESOLUTION_SECONDS:
            return
        for name in self._components.names():
            life = self._components.life(name)
            seconds = self._components.cpu_seconds(life)
            # A process that was started again counts from zero.
            grown = seconds - self._seconds.get(name, 0.0)
            self._cores[name] = max(0.0, grown if grown >= 0 else seconds) / max(passed, 0.001)
            self._seconds[name] = seconds
        self._since, self._at = self._at, now

    def documents(self) -> list[dict[str, Any]]:
        """Return the metrics of every pod that runs, without kind and apiVersion, by key."""
        self._look()
        found = []
        for pod, _ in self._journal.snapshot("pods", self._journal.version):
            containers = self._containers(pod)
            if containers:
                found.append(self._document(pod, containers))
        return found

    def _containers(self, pod: object) -> list[dict[str, Any]]:
        if isinstance(pod, RunPod):
            if pod.versions[-1].stage != RUNNING:
                return []
            usage = _RUN_POD_USAGE[pod.kind]
            return [
                _container(name, cores * 1_000_000, mebibytes << 10)
                for name, (cores, mebibytes) in usage.items()
            ]
        life = self._components.of_pod(pod) if isinstance(pod, Stated) else None
        if life is None or life.since is None:
            return []
        cores = self._cores.get(life.component.name, 0.0)
        memory = self._components.memory_bytes(life)
        return [_container(life.component.container, round(cores * 1e9), memory >> 10)]

    def _document(self, pod: Any, containers: list[dict[str, Any]]) -> dict[str, Any]:
        place = len(pod.versions) - 1
        labels = (
            pod.labels(place)
            if isinstance(pod, RunPod)
            else pod.documents[place]["metadata"].get("labels", {})
        )
        at = rfc3339(self._time.seconds(self._at))
        return {
            "metadata": {
                "name": pod.name,
                "namespace": pod.namespace,
                "creationTimestamp": at,
                "labels": labels,
                "annotations": {MODELLED: "cpu, memory"},
            },
            "timestamp": at,
            "window": f"{max(0.001, (self._at - self._since) / 1e6):.3f}s",
            "containers": containers,
        }


def _container(name: str, nanocores: int, kibibytes: int) -> dict[str, Any]:
    return {"name": name, "usage": {"cpu": f"{nanocores}n", "memory": f"{kibibytes}Ki"}}
