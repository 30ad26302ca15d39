"""What happened to a pod, in true microseconds: what a reader of whole seconds is held against."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_emulator.kubernetes.pod_stages import INITIALIZED, INITIALIZING, SCHEDULED

if TYPE_CHECKING:
    from kfp_emulator.kubernetes.run_pod import RunPod


def pod_truth(pod: RunPod) -> dict[str, Any]:
    """Return what a pod is, and when it reached its stages; what it has not reached is left out.

    `pulling_us` and `pulled_us` are there only where its node had to pull the image of its main container.
    """
    times: dict[str, int | None] = {"created_us": pod.created}
    moments = pod.moments
    reached = max((version.stage for version in pod.versions), default=0)
    if moments is not None:
        if reached >= SCHEDULED:
            times["scheduled_us"] = moments.scheduled
        if reached >= INITIALIZING:
            times["first_container_us"] = moments.first_container
        if reached >= INITIALIZED:
            times["initialized_us"] = moments.initialized
            if moments.pulled > moments.initialized:
                times["pulling_us"] = moments.initialized
                times["pulled_us"] = moments.pulled if pod.started is not None else None
    times["started_us"] = pod.started
    times["killed_us"] = pod.killed
    times["ended_us"] = pod.ended
    return {
        "name": pod.name,
        "namespace": pod.namespace,
        "run_id": pod.request.run_id,
        "task": pod.task,
        "kind": pod.kind,
        "attempt": pod.attempt,
        "node": pod.node,
        "phase": pod.phase,
        **{name: at for name, at in times.items() if at is not None},
    }
