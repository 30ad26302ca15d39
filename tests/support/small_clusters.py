"""A pipeline of three tasks in a row, and a profile that shows each step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from small_pipelines import Draft, task

from kfp_emulator.cluster.timing import Profile, constant

if TYPE_CHECKING:
    from kfp_emulator.pipelines.ir import Pipeline


def chain(count: int = 3, **given: Any) -> Pipeline:
    """Three tasks in a row."""
    draft = Draft("chain")
    draft.container("work")
    tasks = {"t1": task("work", **given)}
    for number in range(2, count + 1):
        tasks[f"t{number}"] = task("work", after=[f"t{number - 1}"], **given)
    return draft.pipeline(tasks)


SLOW = Profile(
    controller_requeue_seconds=constant(1),
    scheduling_seconds=constant(0.5),
    startup_seconds=constant(0.5),
    driver_seconds=constant(2),
    executor_seconds=constant(5),
    termination_seconds=constant(3),
    report_delay_seconds=constant(1),
)
