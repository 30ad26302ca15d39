"""The interface of a workflow for the steps of its tasks (loops, executors)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from kfp_emulator.cluster.frames import RunningWorkflow

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_emulator.cluster.frames import Frame, Host, Pod, TaskRun
    from kfp_emulator.cluster.node_tree import NodeTree
    from kfp_emulator.cluster.nodes import LiveNode
    from kfp_emulator.cluster.resolve import Resolver
    from kfp_emulator.pipelines.plans import TaskPlan


class Controller(RunningWorkflow, Protocol):
    """One workflow, for the steps of its tasks."""

    tree: NodeTree
    resolver: Resolver
    host: Host
    terminating: bool

    def make_pod(
        self,
        run: TaskRun,
        node: LiveNode,
        shell: LiveNode | None,
        done: Callable[[Pod], None],
        attempt: int = 0,
    ) -> None:
        """Create a pod for a node; `done` is called in the pass after its end."""
        ...

    def plan_try(self, step: Callable[[], None], when: int) -> None:
        """Run a step that starts another attempt at `when`."""
        ...

    def tried_again(self, pod: Pod) -> bool:
        """Start another attempt of a driver that ended in an error, if the retry strategy allows it."""
        ...

    def close_shell(self, pod: Pod) -> None:
        """End the node around a pod's attempts as the last of them ended."""
        ...

    def fail_driver(self, pod: Pod, message: str) -> None:
        """Let a driver fail."""
        ...

    def wrap(self, frame: Frame, plan: TaskPlan, name: str, base: dict[str, Any] | None = None) -> None:
        """Start a frame around a single task."""
        ...

    def component_ended(self, frame: Frame, phase: str) -> None:
        """End the task whose DAG has ended."""
        ...

    def finish(self, run: TaskRun, phase: str) -> None:
        """End a task."""
        ...
