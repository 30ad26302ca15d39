"""What pods and components show of the bottleneck, a sentence each; modelled values of an emulator are left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_perf.reports.document import dig
from kfp_perf.reports.quantities import count_of, seconds_of, share_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

#: From which share of its limit on a component is short of it.
_NEARLY = 0.9
#: From which share of the pods on that found no node at first this is worth a sentence.
_MANY_PODS = 0.05
#: From which share of a pod's life on its image pull is.
_LONG_PULL = 0.2


def _components(total: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    found = dig(total, "components", "by_name")
    yield from found.items() if isinstance(found, dict) else ()


def _restarts(total: Mapping[str, Any]) -> str:
    texts = []
    for name, figures in _components(total):
        if restarts := figures.get("restarts") or 0:
            killed = figures.get("oom_kills") or 0
            which = "" if killed == restarts else f" {killed:,} of them"
            why = f",{which} because it had used all of its memory" if killed else ""
            texts.append(f"{name} restarted {count_of(restarts, 'time')} during the test{why}.")
    return " ".join(texts)


def _limits(total: Mapping[str, Any]) -> str:
    if dig(total, "components", "modelled"):
        return ""
    texts = []
    for name, figures in _components(total):
        memory = dig(figures, "memory_share_of_limit", "max")
        if memory is not None and memory >= _NEARLY:
            texts.append(f"{name} used up to {share_of(round(memory, 2))} of its memory limit.")
        cpu = dig(figures, "cpu_share_of_limit", "mean")
        if cpu is not None and cpu >= _NEARLY:
            texts.append(
                f"{name} used {share_of(round(cpu, 2))} of its CPU limit on average: Kubernetes throttles it there."
            )
    return " ".join(texts)


def _no_node(total: Mapping[str, Any]) -> str:
    pods = total.get("pods")
    count, seen = dig(pods, "unschedulable") or 0, dig(pods, "seen") or 0
    if not seen or count / seen < _MANY_PODS:
        return ""
    return f"{share_of(count / seen)} of the runs' pods found no node at first: the cluster had no room for them."


def _pulls(total: Mapping[str, Any]) -> str:
    stages = dig(total, "pods", "executor")
    if not isinstance(stages, dict):
        return ""
    means = {name: dig(one, "mean") or 0.0 for name, one in stages.items()}
    pull, whole = means.get("pull_seconds", 0.0), sum(means.values())
    if not whole or pull / whole < _LONG_PULL:
        return ""
    return (
        f"Of the life of a task's pod, {share_of(round(pull / whole, 2))} was the pull of images, "
        f"{seconds_of(pull)} on average."
    )


CLUSTER_SIGNS: tuple[Callable[[Mapping[str, Any]], str], ...] = (_restarts, _limits, _no_node, _pulls)
