"""Steps of a workflow: what happens to a container task once its driver has let it run."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from kfp_emulator.clock import SECOND
from kfp_emulator.cluster.frames import EXECUTOR, RETRIED_EXECUTOR, Frame, Pod, TaskRun
from kfp_emulator.cluster.nodes import ERROR, FAILED, SKIPPED, SUCCEEDED

if TYPE_CHECKING:
    from kfp_emulator.cluster.controller import Controller

DEFAULT_RETRIES = 2
"""The limit of the default retryStrategy of newer manifests, which acts on errors only."""


def execute(workflow: Controller, run: TaskRun) -> None:
    """Start the executor, or skip it where the execution is cached."""
    node = run.node
    if node is None:
        raise AssertionError("a task has its node before its executor")
    body = Frame(node, run.shell, run.path, run, workflow.component_ended)
    succeeded_before = workflow.tree.kept_phase(body, "executor") == SUCCEEDED
    if run.plan.cache and not succeeded_before and workflow.host.cached(workflow, run):
        run.executor = workflow.tree.skip(body, "executor", [node], SKIPPED)
        _executed(workflow, run, SUCCEEDED)
        return
    run.first_try = workflow.now
    shell, run.executor = workflow.tree.open(
        body, "executor", [node], template=_template(run), retried=run.plan.retry is not None
    )
    workflow.make_pod(run, run.executor, shell, partial(_executor_done, workflow))


def try_again(workflow: Controller, run: TaskRun, attempt: int) -> None:
    """Start another try of an executor."""
    shell = run.executor
    if shell is None:
        raise AssertionError("a second try has a shell")
    run.executor = workflow.tree.open_try(shell, attempt, _template(run))
    workflow.make_pod(run, run.executor, shell, partial(_executor_done, workflow), attempt)


def _template(run: TaskRun) -> str:
    return EXECUTOR if run.plan.retry is None else RETRIED_EXECUTOR


def _executor_done(workflow: Controller, pod: Pod) -> None:
    run = pod.run
    kept = workflow.tree.kept_pod(pod.node, pod.shell) is not None
    delay = None if pod.phase == SUCCEEDED else _delay_of_next_try(workflow, pod)
    if delay is not None:
        run.executor = pod.shell
        step = partial(try_again, workflow, run, pod.attempt + 1)
        workflow.plan_try(step, workflow.now if kept else workflow.now + delay)
        return
    if pod.shell is not None:
        pod.shell.turn(pod.phase, workflow.now)
    if pod.phase == SUCCEEDED and run.plan.cache and not kept:
        workflow.host.succeeded(workflow, run)
    _executed(workflow, run, pod.phase)


def _executed(workflow: Controller, run: TaskRun, phase: str) -> None:
    if run.node is not None:
        workflow.tree.close(run.node, run.shell, phase)
    workflow.finish(run, phase)


def _delay_of_next_try(workflow: Controller, pod: Pod) -> int | None:
    """Return after how many microseconds a failed executor is tried again, None if it is not."""
    run, retry = pod.run, pod.run.plan.retry
    if pod.shell is None or (workflow.terminating and not run.frame.exit):
        return None
    if retry is None:
        return 0 if pod.phase == ERROR and pod.attempt < DEFAULT_RETRIES else None
    # The manifests' default retryStrategy leaves its policy (OnError) to tasks that have a limit of their own.
    if pod.phase != (ERROR if workflow.tree.doubled else FAILED) or pod.attempt >= retry.max_count:
        return None
    delay = round(min(retry.backoff_seconds * retry.backoff_factor ** min(pod.attempt, 64), 1e9) * SECOND)
    waited = workflow.now + delay - run.first_try
    if retry.backoff_max_seconds and waited > retry.backoff_max_seconds * SECOND:
        return None
    return delay
