"""The pods of the test's runs: where they waited, and how they ended."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from kfp_perf.evidence.kubernetes.records import CLUSTER_FILE, PODS_FILE, cluster_decoder, pod_decoder
from kfp_perf.metrics.collector import EvidenceFamily
from kfp_perf.metrics.metric import Metric, Unit, distribution
from kfp_perf.metrics.summary import ranked_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from kfp_perf.evidence.kubernetes.records import ClusterRecord, PodRecord
    from kfp_perf.result.evidence import EvidenceFiles
    from kfp_perf.result.reader import ScenarioFiles

#: Two whole seconds are off by less than one each.
_ERROR_SECONDS = 1.0
_MOST_NODES = 50
_SOURCE = "the Kubernetes API: statuses of pods, in whole seconds of the cluster's clock"

ROLES = {"driver": "KFP's drivers", "executor": "the tasks themselves"}
#: The stages of a pod, in their order, and what each is.
STAGES = {
    "scheduling": "from a pod's creation until it has a node",
    "pull": "the pull of its images, by the node's own measure (the event Pulled); 0 where the node had them",
    "start": "from its node until the container that does the work has started, without the pull: volumes, "
    "network, init containers. Where no event says how long the pull took, it is part of this",
    "work": "from the start of that container to its end",
    "saving": "from then until the pod's last container has ended: Argo's wait container saves outputs and logs",
}


def _metrics() -> Iterator[Metric]:
    for role, of in ROLES.items():
        for stage, meaning in STAGES.items():
            yield distribution(
                f"pods.{role}.{stage}",
                f"Of pods of {of}: {meaning}. A pod that began it and did not end it ranks above all that did."
                + ("" if stage == "pull" else " Off by less than 1 s."),
                "the Kubernetes API: events of pods" if stage == "pull" else _SOURCE,
                ("pods", role, f"{stage}_seconds"),
                error_path=() if stage == "pull" else ("pods", role, f"{stage}_seconds", "error_seconds"),
            )
    for name, meaning in _COUNTS.items():
        yield Metric(f"pods.{name}", Unit.COUNT, meaning, _SOURCE, ("pods", name))


_COUNTS = {
    "seen": "Pods of the runs that were due in the measured time.",
    "failed": "Of these, pods that failed.",
    "unfinished": "Pods that were not over when the test ended.",
    "restarts": "How often containers of these pods were started again.",
    "oom_kills": "Pods of which a container was ended for its use of memory.",
    "unschedulable": "Pods for which the scheduler found no node at first.",
    "image_pulls": "Images that nodes pulled for these pods.",
}


class TestPods(NamedTuple):
    """The pods of a test's runs, and whether they show that the cluster is the target's.

    `measured` are those of runs that were due in the measured time. `others` is how many pods of other runs were
    seen, and `runs` how many runs the test created. `is_target`: the cluster may be taken for the target's: pods of
    the test's runs appeared in it; or none could, and the settings name the cluster.
    """

    measured: list[PodRecord]
    runs: int
    runs_with_pods: int
    others: int
    is_target: bool
    cluster: ClusterRecord | None


TestPods.__test__ = False  # type: ignore[attr-defined]


def pods_of_test(evidence: EvidenceFiles, scenarios: Iterable[ScenarioFiles]) -> TestPods:
    """Join the pods that were seen with the runs of the test, by the id of the run."""
    cluster = next(evidence.read(CLUSTER_FILE, cluster_decoder), None)
    if cluster is None:
        return TestPods([], 0, 0, 0, is_target=False, cluster=None)
    warmup = {run.run_id: run.warmup for files in scenarios for run in files.runs() if run.run_id}
    measured: list[PodRecord] = []
    others, with_pods = 0, set()
    for pod in evidence.read(PODS_FILE, pod_decoder):
        if pod.run_id not in warmup:
            others += 1
            continue
        with_pods.add(pod.run_id)
        if not warmup[pod.run_id]:
            measured.append(pod)
    could_appear = bool(warmup) and any(one.name == "pods" and one.found for one in evidence.sources())
    is_target = bool(with_pods) or (cluster.named and not could_appear)
    return TestPods(measured, len(warmup), len(with_pods), others, is_target, cluster)


class PodMetrics(EvidenceFamily):
    """The pods of all runs that were due in the measured time."""

    metrics: ClassVar[tuple[Metric, ...]] = tuple(_metrics())

    def __init__(self) -> None:
        self._found: TestPods | None = None

    def on_evidence(self, evidence: EvidenceFiles, scenarios: Sequence[ScenarioFiles]) -> None:
        """Read the pods."""
        self._found = pods_of_test(evidence, scenarios)

    def result(self) -> dict[str, Any]:
        """The figures; empty where no pod of the test's runs was seen."""
        found = self._found
        if found is None or not found.measured:
            return {}
        pods = found.measured
        roles = {role: _stages([pod for pod in pods if pod.role == role]) for role in ROLES}
        return {
            "seen": len(pods),
            "runs_with_pods": len({pod.run_id for pod in pods}),
            "other_pods": found.others,
            "failed": sum(pod.phase == "Failed" for pod in pods),
            "unfinished": sum(not pod.over and not pod.deleted for pod in pods),
            "restarts": sum(pod.restarts for pod in pods),
            "oom_kills": sum(pod.oom_killed for pod in pods),
            "unschedulable": sum(bool(pod.unschedulable) for pod in pods),
            "image_pulls": sum(pod.pulls or 0 for pod in pods),
            **{role: figures for role, figures in roles.items() if figures},
            "by_node": _by_node(pods),
            "reasons": _reasons(pods),
        }


def stage_of(pod: PodRecord, stage: str) -> float | None:
    """How long a stage of a pod took, in seconds; infinite: it began and did not end; None: it did not begin."""
    if stage == "pull":
        return math.inf if pod.pulling else None if pod.pulls is None else pod.pull_seconds
    times = pod.times
    begin, end = {
        "scheduling": (0, times.scheduled),
        "start": (times.scheduled, times.started),
        "work": (times.started, times.finished),
        "saving": (times.finished, times.ended),
    }[stage]
    if begin is None:
        return None
    if end is None:
        return math.inf
    # From whole seconds it may be less than none, which keeps means right.
    return end - begin - (pod.pull_seconds if stage == "start" else 0.0)


def _stages(pods: Sequence[PodRecord]) -> dict[str, dict[str, Any]]:
    """The figures of each stage; stages of which nothing is known are left out."""
    found = {}
    for stage in STAGES:
        values = [seconds for pod in pods if (seconds := stage_of(pod, stage)) is not None]
        ended = array("d", (seconds for seconds in values if seconds < math.inf))
        if figures := ranked_values(ended, len(values) - len(ended)):
            figures["above"] = len(values) - len(ended)
            error = {} if stage == "pull" else {"error_seconds": _ERROR_SECONDS}
            found[f"{stage}_seconds"] = {**figures, **error}
    return found


def _by_node(pods: Iterable[PodRecord]) -> dict[str, dict[str, Any]]:
    """Pods, and the mean of each stage, by the node that they ran on; those of the most pods first."""
    by_node: dict[str, list[PodRecord]] = {}
    for pod in pods:
        if pod.node:
            by_node.setdefault(pod.node, []).append(pod)
    most = sorted(by_node, key=lambda node: (-len(by_node[node]), node))[:_MOST_NODES]
    return {node: _node_figures(by_node[node]) for node in most}


def _node_figures(pods: Sequence[PodRecord]) -> dict[str, Any]:
    found: dict[str, Any] = {"pods": len(pods), "failed": sum(pod.phase == "Failed" for pod in pods)}
    found["image_pulls"] = sum(pod.pulls or 0 for pod in pods)
    for stage in STAGES:
        values = [
            seconds for pod in pods if (seconds := stage_of(pod, stage)) is not None and seconds < math.inf
        ]
        if values:
            found[f"{stage}_seconds"] = {
                "n": len(values),
                "mean": sum(values) / len(values),
                "max": max(values),
            }
    return found


def _reasons(pods: Iterable[PodRecord]) -> dict[str, int]:
    """Why pods failed or had no node, the most frequent first."""
    found = Counter(
        text
        for pod in pods
        for text in (pod.reason if pod.phase == "Failed" else "", pod.unschedulable)
        if text
    )
    return dict(found.most_common(10))
