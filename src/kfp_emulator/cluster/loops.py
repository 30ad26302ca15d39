"""Steps of a workflow: a ParallelFor, from its driver to its last iteration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_emulator.cluster.frames import DAG_DRIVER, Frame, Pod, TaskRun
from kfp_emulator.cluster.nodes import BAD, OMITTED, RUNNING, SKIPPED, SUCCEEDED
from kfp_emulator.cluster.resolve import ResolveError

if TYPE_CHECKING:
    from kfp_emulator.cluster.controller import Controller
    from kfp_emulator.cluster.nodes import LiveNode


def begin_loop(workflow: Controller, run: TaskRun, parents: list[LiveNode]) -> None:
    """Start a loop with the driver that works out its items."""
    run.shell, run.node = workflow.tree.open(run.frame, run.name, parents)
    loop = Frame(run.node, run.shell, run.path, run, workflow.component_ended)
    shell, run.driver = workflow.tree.open(loop, "iteration-driver", [run.node], template=DAG_DRIVER)

    def items_known(pod: Pod) -> None:
        _items_known(workflow, pod, loop)

    workflow.make_pod(run, run.driver, shell, items_known)


def _items_known(workflow: Controller, pod: Pod, loop: Frame) -> None:
    if workflow.tried_again(pod):
        return
    run = pod.run
    if pod.phase == SUCCEEDED:
        try:
            run.inputs = workflow.resolver.inputs(workflow, run)
            run.items = workflow.resolver.items(run) if workflow.resolver.triggered(run) else []
        except ResolveError as fault:
            workflow.fail_driver(pod, str(fault))
    workflow.close_shell(pod)
    if pod.phase != SUCCEEDED or not run.items:
        phase = SKIPPED if pod.phase == SUCCEEDED else OMITTED
        run.driver = workflow.tree.skip(loop, "iteration-iterations", [pod.node], phase)
        _loop_ended(workflow, run, pod.phase)
        return
    group = run.driver = loop.node = workflow.tree.add(loop, "iteration-iterations", RUNNING)
    pod.node.add(group)
    loop.open = len(run.items)
    run.iterations = []
    limit = run.plan.loop.parallelism if run.plan.loop is not None else 0
    at_once = min(limit or loop.open, loop.open)
    for _ in range(at_once):
        _iterate(workflow, run, loop)
    for index in range(at_once, loop.open):
        workflow.tree.list_child(group, loop, _iteration(index))


def _iteration(index: int) -> str:
    return f"iteration-iterations({index}:{index})"


def _iterate(workflow: Controller, run: TaskRun, loop: Frame) -> None:
    """Start the next iteration."""
    plan = run.plan
    if plan.loop is None or run.iterations is None:
        raise AssertionError("only a loop iterates")
    index = len(run.iterations)
    name = _iteration(index)
    shell, node = workflow.tree.open(loop, name, [loop.node])

    def ended(_: Frame, phase: str) -> None:
        _iteration_ended(workflow, run, loop, phase)

    frame = Frame(node, shell, f"{loop.path}.{name}", run, ended)
    frame.scope = run.frame.scope
    run.iterations.append(frame)
    base: dict[str, Any] = {key: value for key, value in run.inputs.items() if key != plan.loop.items_input}
    base[plan.loop.item_input] = run.items[index]
    workflow.wrap(frame, plan, "iteration-item", base)


def _iteration_ended(workflow: Controller, run: TaskRun, loop: Frame, phase: str) -> None:
    loop.open -= 1
    if phase in BAD:
        run.worst = phase
    if run.iterations is not None and len(run.iterations) < len(run.items):
        _iterate(workflow, run, loop)
    elif not loop.open:
        loop.node.turn(run.worst, workflow.now)
        _loop_ended(workflow, run, run.worst)


def _loop_ended(workflow: Controller, run: TaskRun, phase: str) -> None:
    if run.node is not None:
        workflow.tree.close(run.node, run.shell, phase)
    workflow.finish(run, phase)
