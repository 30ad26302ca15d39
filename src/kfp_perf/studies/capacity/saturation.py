"""What KFP's components say of themselves at the limit: evidence beside the phases, where there is any."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from kfp_perf.result.capacity import Component, EvidenceRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Sign(NamedTuple):
    """A figure of the whole test that rises when a component gives way; below `least` a rise is none."""

    component: Component
    meaning: str
    path: tuple[str, ...]
    unit: str
    least: float
    setting: int = 0
    """The place in the component's settings (`reports.capacity_words.SETTINGS_OF`) of the one that it points at."""


_QUEUE = ("controller", "queues", "workflow_queue")
SIGNS = (
    Sign(
        "api server",
        "CreateRun in the API server, mean",
        ("server", "methods", "CreateRun", "handling_seconds", "mean"),
        "seconds",
        0.05,
    ),
    Sign(
        "controller",
        "workflows wait for a worker of the controller, mean",
        (*_QUEUE, "latency_seconds", "mean"),
        "seconds",
        0.5,
    ),
    Sign("controller", "workflows in the controller's queue, mean", (*_QUEUE, "depth", "mean"), "count", 1.0),
    Sign(
        "controller",
        "requests of the controller to Kubernetes, mean",
        ("controller", "kubernetes_request_seconds", "mean"),
        "seconds",
        0.1,
        2,
    ),
    Sign(
        "pods",
        "pods of drivers wait for a node, mean",
        ("pods", "driver", "scheduling_seconds", "mean"),
        "seconds",
        1.0,
    ),
    Sign(
        "pods",
        "pods of tasks wait for a node, mean",
        ("pods", "executor", "scheduling_seconds", "mean"),
        "seconds",
        1.0,
    ),
)
RISE = 2.0
"""How much larger a figure is at the limit than at light load to be a sign."""
SATURATED = 0.9
"""From this share of its CPU limit on a component has no more to give."""
_DEPLOYMENTS: Mapping[str, Component] = {
    "ml-pipeline": "api server",
    "workflow-controller": "controller",
    "ml-pipeline-persistenceagent": "agent",
}


def signs_of(light: Mapping[str, Any], limit: Mapping[str, Any]) -> tuple[EvidenceRecord, ...]:
    """The signs that rose from the figures of the whole test at light load to those at the limit."""
    found = []
    for sign in SIGNS:
        before, after = _value(light, sign.path), _value(limit, sign.path)
        if after is not None and after >= sign.least and after >= RISE * (before or 0.0):
            found.append(EvidenceRecord(sign.component, sign.meaning, before, after, sign.unit, sign.setting))
    return (*found, *_saturated(light, limit))


def _saturated(light: Mapping[str, Any], limit: Mapping[str, Any]) -> Iterator[EvidenceRecord]:
    """Components that used up their CPU; none where an emulator made up what they used."""
    components = limit.get("components") or {}
    if components.get("modelled"):
        return
    for name in components.get("by_name") or {}:
        path = ("components", "by_name", name, "cpu_share_of_limit", "max")
        after = _value(limit, path)
        if after is not None and after >= SATURATED:
            meaning = f"CPU of {name} as a share of its limit, at most"
            component = _DEPLOYMENTS.get(name, "unknown")
            cpu = 1 if component == "api server" else 0
            yield EvidenceRecord(component, meaning, _value(light, path), after, "share", cpu)


def _value(figures: Mapping[str, Any], path: tuple[str, ...]) -> float | None:
    found: Any = figures
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return float(found) if isinstance(found, int | float) else None
