"""The events of a run's pod, in the words of kube-scheduler and the kubelet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_emulator.kubernetes.argo_template import ARGO_IMAGE, LAUNCHER_IMAGE
from kfp_emulator.kubernetes.journal import DELETED
from kfp_emulator.kubernetes.occurrences import Occurrence
from kfp_emulator.kubernetes.pod_spec import containers_of
from kfp_emulator.kubernetes.pod_stages import (
    ENDED,
    INITIALIZED,
    INITIALIZING,
    RUNNING,
    SCHEDULED,
    TERMINATING,
    UNSCHEDULABLE,
)
from kfp_emulator.kubernetes.pod_status import main_image, unschedulable_message

if TYPE_CHECKING:
    from kfp_emulator.kubernetes.run_pod import RunPod

_IMAGE_BYTES = 50_000_000
"""The size of a pulled image in the kubelet's message."""


def pod_occurrences(pod: RunPod, place: int) -> list[Occurrence]:
    """Return the events of the stages between the version before and this one: some take no time."""
    version = pod.versions[place]
    reached = version.stage
    if reached == DELETED:
        return []
    before = pod.versions[place - 1].stage if place else -1
    if reached == UNSCHEDULABLE:
        message = unschedulable_message(pod.nodes)
        return [Occurrence("FailedScheduling", message, "default-scheduler", version.at, kind="Warning")]
    if reached == TERMINATING:
        return [_kubelet(pod, "Killing", "Stopping container main", version.at, "main")]
    found: list[Occurrence] = []
    for stage, events in (
        (SCHEDULED, _scheduled),
        (INITIALIZING, _initializing),
        (INITIALIZED, _initialized),
        (RUNNING, _running),
    ):
        if before < stage <= min(reached, ENDED):
            found.extend(events(pod))
    return found


def _kubelet(pod: RunPod, reason: str, message: str, at: int, container: str) -> Occurrence:
    group = "initContainers" if container in containers_of(pod.kind)[0] else "containers"
    path = f"spec.{group}{{{container}}}" if container else ""
    return Occurrence(reason, message, "kubelet", at, pod.node, path)


def _scheduled(pod: RunPod) -> list[Occurrence]:
    if pod.moments is None:
        return []
    message = f"Successfully assigned {pod.namespace}/{pod.name} to {pod.node}"
    return [Occurrence("Scheduled", message, "default-scheduler", pod.moments.scheduled)]


def _initializing(pod: RunPod) -> list[Occurrence]:
    if pod.moments is None:
        return []
    at = pod.moments.first_container
    return _came_up(pod, "init", ARGO_IMAGE, at)


def _initialized(pod: RunPod) -> list[Occurrence]:
    moments = pod.moments
    if moments is None:
        return []
    found: list[Occurrence] = []
    if "kfp-launcher" in containers_of(pod.kind)[0]:
        middle = (moments.first_container + moments.initialized) // 2
        found = _came_up(pod, "kfp-launcher", LAUNCHER_IMAGE, middle)
    if moments.pulled > moments.initialized:
        text = f'Pulling image "{main_image(pod.kind, pod.image)}"'
        found.append(_kubelet(pod, "Pulling", text, moments.initialized, "main"))
    return found


def _running(pod: RunPod) -> list[Occurrence]:
    moments = pod.moments
    if moments is None or pod.started is None:
        return []
    image = main_image(pod.kind, pod.image)
    took = moments.pulled - moments.initialized
    found: list[Occurrence] = _came_up(pod, "wait", ARGO_IMAGE, pod.started)
    if took:
        length = _go_duration(took)
        text = (
            f'Successfully pulled image "{image}" in {length} ({length} including waiting). '
            f"Image size: {_IMAGE_BYTES} bytes."
        )
        found.append(_kubelet(pod, "Pulled", text, moments.pulled, "main"))
        return found + _came_up(pod, "main", image, pod.started)[1:]
    return found + _came_up(pod, "main", image, pod.started)


def _came_up(pod: RunPod, container: str, image: str, at: int) -> list[Occurrence]:
    present = f'Container image "{image}" already present on machine'
    return [
        _kubelet(pod, "Pulled", present, at, container),
        _kubelet(pod, "Created", f"Created container {container}", at, container),
        _kubelet(pod, "Started", f"Started container {container}", at, container),
    ]


def _go_duration(microseconds: int) -> str:
    """Write a duration as Go does, to the millisecond."""
    milliseconds = round(microseconds / 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, seconds = divmod(milliseconds / 1000, 60)
    text = f"{seconds:.3f}".rstrip("0").rstrip(".")
    return f"{int(minutes)}m{text}s" if minutes else f"{text}s"
