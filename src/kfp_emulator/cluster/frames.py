"""What a workflow is made of while it runs: pods, frames (DAG nodes at work) and the task runs in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from kfp_emulator.cluster.nodes import BAD, COMPLETED, PENDING, SUCCEEDED, LiveNode

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_emulator.clock import Event
    from kfp_emulator.cluster.kubernetes_node import KubernetesNode
    from kfp_emulator.cluster.timing import Draws
    from kfp_emulator.pipelines.plans import DagPlan, Plan, TaskPlan

DAG_DRIVER = "system-dag-driver"
CONTAINER_DRIVER = "system-container-driver"
EXECUTOR = "system-container-impl"
RETRIED_EXECUTOR = "retry-system-container-impl"
IMPORTER = "system-importer"

_KINDS = {
    DAG_DRIVER: "driver",
    CONTAINER_DRIVER: "driver",
    EXECUTOR: "executor",
    RETRIED_EXECUTOR: "executor",
    IMPORTER: "importer",
}


class RunningWorkflow(Protocol):
    """The workflow of a pod or a task run, as the cluster and the resolver of inputs see it."""

    run_id: str
    plan: Plan
    draws: Draws
    news: list[Pod]
    """Pods that have started or ended since the controller's last pass."""

    @property
    def name(self) -> str:
        """The name of the Kubernetes object."""
        ...

    @property
    def now(self) -> int:
        """The time of the pass, in microseconds."""
        ...

    def placeholders(self) -> dict[str, str]:
        """Return the placeholders that constants may hold, with their values in this run."""
        ...


class Pod:
    """A pod of a workflow: what it is, and what became of it.

    `phase` is what it ends in; `done` is what the controller does at the next pass after its end. `shell` is the
    node around its tries, where it may be tried again.
    """

    __slots__ = (
        "attempt",
        "done",
        "ended",
        "event",
        "killed",
        "kind",
        "node",
        "oom_killed",
        "phase",
        "place",
        "run",
        "seen",
        "shell",
        "started",
        "workflow",
    )

    def __init__(
        self,
        workflow: RunningWorkflow,
        run: TaskRun,
        node: LiveNode,
        shell: LiveNode | None,
        done: Callable[[Pod], None],
        attempt: int,
    ) -> None:
        self.workflow = workflow
        self.run = run
        self.node = node
        self.shell = shell
        self.done = done
        self.attempt = attempt
        self.kind = _KINDS[node.template]
        """What runs in it: `driver`, `executor` or `importer`."""
        self.phase = PENDING
        self.killed = False
        self.oom_killed = False
        self.started: int | None = None
        self.ended: int | None = None
        self.event: Event | None = None
        self.place: KubernetesNode | None = None
        self.seen: Any = None
        """What the log of pods holds of it."""

    @property
    def image(self) -> str:
        """The image that its Kubernetes node must have; drivers and importers share that of KFP."""
        return self.run.plan.component.image if self.kind == "executor" else ""


class Frame:
    """A DAG node at work: its tasks, and how many of them are not settled yet.

    `dag` holds the tasks that depend on each other; it is None where the frame is wrapped around a single one.
    `exit` is whether it belongs to an exit handler, which a termination does not stop. `scope` is the frame
    of the component in which the inputs of its tasks are looked up.
    """

    __slots__ = (
        "closed",
        "dag",
        "exit",
        "hash",
        "inputs",
        "node",
        "open",
        "owner",
        "path",
        "runs",
        "scope",
        "shell",
    )

    def __init__(
        self,
        node: LiveNode,
        shell: LiveNode | None,
        path: str,
        owner: TaskRun | None,
        closed: Callable[[Frame, str], None],
    ) -> None:
        self.node = node
        self.shell = shell
        self.hash = node.hash
        self.path = path
        self.owner = owner
        self.closed = closed
        self.dag: DagPlan | None = None
        self.exit: bool = owner is not None and owner.frame.exit
        self.runs: list[TaskRun] = []
        self.open = 0
        self.scope = self
        self.inputs: dict[str, Any] = {}

    def outcome(self) -> str:
        """Return the phase of the DAG: what was not executed inherits from what it waited for, the worse first."""
        branches: list[str] = []
        for run in self.runs:
            if run.phase in COMPLETED:
                branches.append(run.phase)
            else:
                before = [branches[index] for index in run.plan.dependencies] if self.dag is not None else []
                branches.append(next((phase for phase in before if phase in BAD), SUCCEEDED))
        leaves = self.dag.leaves if self.dag is not None else range(len(branches))
        return next((branches[index] for index in leaves if branches[index] in BAD), SUCCEEDED)


class TaskRun:
    """One task in a frame.

    `name` is that of its node: the task's, but for the iterations of a loop. `base` are inputs that are known
    before: those of the pipeline, or of an iteration. `phase` is empty until it has ended. `origin` says where
    its outputs come from: another run if they were cached.
    """

    __slots__ = (
        "base",
        "driver",
        "executor",
        "first_try",
        "frame",
        "inner",
        "inputs",
        "items",
        "iterations",
        "name",
        "node",
        "origin",
        "phase",
        "plan",
        "shell",
        "waiting",
        "worst",
    )

    def __init__(self, frame: Frame, plan: TaskPlan, name: str, base: dict[str, Any] | None = None) -> None:
        self.frame = frame
        self.plan = plan
        self.name = name
        self.base = base
        self.waiting = len(plan.dependencies) if frame.dag is not None else 0
        self.phase = ""
        self.node: LiveNode | None = None
        self.shell: LiveNode | None = None
        self.driver: LiveNode | None = None
        self.executor: LiveNode | None = None
        self.inputs: dict[str, Any] = {}
        self.inner: Frame | None = None
        self.items: list[Any] = []
        self.iterations: list[Frame] | None = None
        self.first_try = 0
        self.worst = SUCCEEDED
        self.origin: Any = None

    @property
    def looped(self) -> bool:
        """Whether it is a loop, and not one of its iterations."""
        return self.plan.loop is not None and self.base is None

    @property
    def path(self) -> str:
        """The names of the nodes around it and of its own, without the workflow's."""
        return f"{self.frame.path}.{self.name}" if self.frame.path else self.name

    def outbound(self) -> list[LiveNode]:
        """Return the nodes after which its dependents hang (getOutboundNodes of Argo).

        Of a node with tries that is the last try, whatever is inside it.
        """
        if self.shell is not None and self.node is not None:
            return [self.node]
        if self.iterations:
            return [node for frame in self.iterations for each in frame.runs for node in each.outbound()]
        if self.inner is not None:
            leaves = [each for each in self.inner.runs if not each.plan.dependents]
            return [node for each in leaves for node in each.outbound()]
        node = self.driver if self.looped else self.executor or self.node or self.driver
        return [node] if node is not None else []


class Host(Protocol):
    """The calls of a workflow to its cluster."""

    def cached(self, workflow: RunningWorkflow, run: TaskRun) -> bool:
        """Whether an executor need not run; if so, `run.origin` is where its outputs come from."""
        ...

    def succeeded(self, workflow: RunningWorkflow, run: TaskRun) -> None:
        """An executor of a task that may be cached has succeeded."""
        ...

    def task_ended(self, workflow: RunningWorkflow, run: TaskRun) -> None:
        """A task has ended, in whatever way."""
        ...
