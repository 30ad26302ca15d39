"""A run's workflow as the Argo controller takes it through its DAG, node by node (kfp-facts, section 3).

A workflow moves only in the controller's passes: `advance` takes in what its pods did since the last one, and
leaves the pods that are to be made, or ended. Everything that takes time is the cluster's business.

The words: a *frame* is a DAG node at work, a *task run* one task in it. Frames nest: the entry holds `root`, a
loop holds one frame for each item, a hook (`T.onExit`) holds an exit task.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from kfp_perf.emulator.clock import SECOND
from kfp_perf.emulator.nodes import (
    BAD,
    COMPLETED,
    ERROR,
    FAILED,
    OMITTED,
    PENDING,
    RUNNING,
    SKIPPED,
    SUCCEEDED,
    LiveNode,
    Node,
    fnv1a,
)
from kfp_perf.emulator.resolve import ResolveError, Resolver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kfp_perf.emulator.compiler import DagPlan, Plan, TaskPlan
    from kfp_perf.emulator.timing import Draws

MAX_NODES = 50_000
"""How many nodes a workflow may have before the controller gives it up: Kubernetes objects have a bound."""

_DAG_DRIVER = "system-dag-driver"
_CONTAINER_DRIVER = "system-container-driver"
_EXECUTOR = "system-container-impl"
_IMPORTER = "system-importer"
_DEFAULT_RETRIES = 2
"""The limit of the default retryStrategy of newer manifests, which acts on errors only."""


class Pod:
    """A pod of a workflow: what it is, and what became of it.

    `phase` is the pod's own; `done` is what the controller does with it at the next pass after its end.
    """

    __slots__ = (
        "attempt",
        "done",
        "ended",
        "event",
        "node",
        "phase",
        "place",
        "run",
        "shell",
        "started",
        "workflow",
    )

    def __init__(
        self,
        workflow: Workflow,
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
        self.phase = PENDING
        self.started: int | None = None
        self.ended: int | None = None
        self.event: Any = None
        self.place: Any = None

    @property
    def kind(self) -> str:
        """What runs in it: `driver`, `executor` or `importer`."""
        template = self.node.template
        if template == _IMPORTER:
            return "importer"
        return "driver" if template.endswith("driver") else "executor"

    @property
    def image(self) -> str:
        """The image that its node must have."""
        return self.run.plan.component.image if self.kind == "executor" else "kfp-driver"


class Frame:
    """A DAG node at work: its tasks, and how many of them are not settled yet."""

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
        *,
        exit_: bool,
    ) -> None:
        self.node = node
        self.shell = shell
        self.hash = node.hash
        self.path = path
        self.owner = owner
        self.closed = closed
        self.dag: DagPlan | None = None
        """The tasks that depend on each other; None where the frame is wrapped around a single one."""
        self.exit = exit_
        """Whether it belongs to an exit handler, which a termination does not touch."""
        self.runs: list[TaskRun] = []
        self.open = 0
        self.scope = self
        """The frame of the component in which the inputs of its tasks are looked up."""
        self.inputs: dict[str, Any] = {}


class TaskRun:
    """One task in a frame. `phase` is empty until it has ended."""

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
        """The name of its node: the task's, but for the iterations of a loop."""
        self.base = base
        """Inputs that are known before: those of the pipeline, or of an iteration of a loop."""
        self.waiting = len(plan.dependencies) if frame.dag is not None else 0
        self.phase = ""
        self.node: LiveNode | None = None
        self.shell: LiveNode | None = None
        self.driver: LiveNode | None = None
        self.executor: LiveNode | None = None
        self.inputs: dict[str, Any] = {}
        self.inner: Frame | None = None
        self.items: list[Any] = []
        self.iterations: list[Frame] = []
        self.first_try = 0
        self.worst = SUCCEEDED
        self.origin: Any = None
        """Where its outputs come from, if from the cache."""

    @property
    def looped(self) -> bool:
        """Whether it is a loop, and not one of its iterations."""
        return self.plan.loop is not None and self.base is None

    @property
    def path(self) -> str:
        """The names of the nodes around it and of its own, without the workflow's."""
        return f"{self.frame.path}.{self.name}" if self.frame.path else self.name


class _TooManyNodes(Exception):
    """The workflow has outgrown what the controller can hold."""


class Host(Protocol):
    """What a workflow asks of, and tells, the cluster that it runs in."""

    def cached(self, workflow: Workflow, run: TaskRun) -> bool:
        """Whether an executor need not run; if so, `run.origin` says where its outputs come from."""
        ...

    def succeeded(self, workflow: Workflow, run: TaskRun) -> None:
        """An executor of a task that may be cached has succeeded."""
        ...

    def task_ended(self, workflow: Workflow, run: TaskRun) -> None:
        """A task has ended, in whatever way."""
        ...


class Workflow:
    """One workflow.

    After `advance`, `pods` holds those to be made, `kills` those to be ended, `wake_at` when the controller has
    to look again even if nothing happens, `again` whether it has to look once more as soon as it can.
    """

    __slots__ = (
        "_agenda",
        "_hash",
        "again",
        "changed",
        "created_at",
        "doubled",
        "draws",
        "finished_at",
        "hooks",
        "host",
        "kept",
        "kills",
        "live_pods",
        "message",
        "name",
        "news",
        "nodes",
        "now",
        "parameters",
        "phase",
        "plan",
        "pods",
        "resolver",
        "run_id",
        "started_at",
        "terminating",
        "tries",
        "wake_at",
    )

    def __init__(
        self,
        run_id: str,
        name: str,
        plan: Plan,
        parameters: dict[str, Any],
        created_at: int,
        draws: Draws,
        resolver: Resolver,
        host: Host,
        *,
        doubled: bool = False,
        kept: Iterable[Node] = (),
    ) -> None:
        self.run_id = run_id
        self.name = name
        self._hash = fnv1a(name)
        self.plan = plan
        self.parameters = parameters
        self.created_at = created_at
        self.draws = draws
        self.resolver = resolver
        self.host = host
        self.doubled = doubled
        self.kept = {node.node_id: node for node in kept}
        self.now = created_at
        self.phase = ""
        self.message = ""
        self.started_at: int | None = None
        self.finished_at: int | None = None
        self.nodes: list[LiveNode] = []
        self.news: list[Pod] = []
        self.live_pods: set[Pod] = set()
        self.pods: list[Pod] = []
        self.kills: list[Pod] = []
        self.tries: list[tuple[int, TaskRun, int]] = []
        self.hooks: list[TaskRun] = []
        self.terminating = False
        self.wake_at: int | None = None
        self.again = False
        self.changed = False
        self._agenda: deque[tuple[Callable[..., None], Any]] = deque()

    # --- the controller's pass

    def advance(self, now: int) -> None:
        """Make one pass."""
        self.now = now
        self.pods, self.kills = [], []
        self.again = self.changed = False
        self.wake_at = None
        if self.finished_at is not None:
            return
        try:
            if self.started_at is None:
                self._begin_workflow()
            self._take_in()
            self._due_tries()
            if self.terminating:
                self.kills = [pod for pod in self.live_pods if not pod.run.frame.exit]
            self._work()
        except _TooManyNodes:
            self._give_up(f"the workflow has more than {MAX_NODES} nodes")
        self.again = bool(self.hooks)

    def _begin_workflow(self) -> None:
        self.started_at = self.now
        self.phase = RUNNING
        self.changed = True
        shell, node = self._open(None, self.name, ())
        node.phase = RUNNING
        if self.plan.refused:
            self._give_up(self.plan.refused)
            return
        entry = Frame(node, shell, "", None, self._workflow_ended, exit_=False)
        self._wrap(entry, self.plan.root, "root", self.parameters)

    def _take_in(self) -> None:
        news, self.news = self.news, []
        for pod in news:
            if pod not in self.live_pods:
                continue  # its start and its end came together
            self.changed = True
            if pod.ended is None:
                pod.node.turn(RUNNING)
                continue
            self.live_pods.discard(pod)
            pod.node.turn(pod.phase, pod.ended)
            self._agenda.append((pod.done, pod))
        hooks, self.hooks = self.hooks, []
        for run in hooks:
            self._agenda.append((self._run_hook, run))

    def _due_tries(self) -> None:
        later: list[tuple[int, TaskRun, int]] = []
        for when, run, attempt in self.tries:
            if when <= self.now or self.terminating:
                self._agenda.append((self._try, (run, attempt)))
            else:
                later.append((when, run, attempt))
        self.tries = later
        self.wake_at = min((when for when, _, _ in later), default=None)

    def _work(self) -> None:
        agenda = self._agenda
        while agenda:
            action, subject = agenda.popleft()
            action(subject)

    def _give_up(self, message: str) -> None:
        self._agenda.clear()
        self.message = message
        self.kills = list(self.live_pods)
        self.pods = []
        for node in self.nodes:
            if node.phase in {PENDING, RUNNING}:
                node.turn(ERROR, self.now)
        self._end_workflow(ERROR)

    def _workflow_ended(self, frame: Frame, phase: str) -> None:
        self._end_workflow(phase)

    def _end_workflow(self, phase: str) -> None:
        self.phase = phase
        self.finished_at = self.now
        self.changed = True
        self.kept = {}

    def placeholders(self) -> dict[str, str]:
        """Return what constants may say of the run."""
        return {
            "{{$.pipeline_job_uuid}}": self.run_id,
            "{{$.pipeline_job_name}}": self.name,
            "{{$.pipeline_job_resource_name}}": self.name,
        }

    # --- nodes

    def _open(
        self,
        frame: Frame | None,
        name: str,
        parents: Iterable[LiveNode],
        *,
        template: str = "",
        retried: bool = False,
    ) -> tuple[LiveNode | None, LiveNode]:
        """Make the node of an executed template; with retries it is a shell, and the first try within it."""
        outer = self._node(frame, name, PENDING if template and not (self.doubled or retried) else RUNNING)
        for parent in parents:
            parent.add(outer)
        if not (self.doubled or retried):
            outer.template = template
            return None, outer
        return outer, self._inner(outer, 0, template)

    def _inner(self, shell: LiveNode, attempt: int, template: str) -> LiveNode:
        suffix = f"({attempt})"
        hash_ = fnv1a(suffix, shell.hash or self._hash)
        inner = self._node(None, shell.name + suffix, PENDING if template else RUNNING, hash_)
        inner.template = template
        shell.add(inner)
        return inner

    def _node(self, frame: Frame | None, name: str, phase: str, hash_: int | None = None) -> LiveNode:
        if len(self.nodes) >= MAX_NODES:
            raise _TooManyNodes
        if hash_ is None:
            hash_ = 0 if frame is None else fnv1a("." + name, frame.hash or self._hash)
        node = LiveNode(name, hash_, phase, self.now)
        if self.kept:
            self._restore(node)
        self.nodes.append(node)
        return node

    def _restore(self, node: LiveNode) -> None:
        kept = self.kept.get(node.node_id(self.name))
        if kept is not None:
            node.history = kept.history
            if kept.started_at is not None:
                node.start = kept.started_at

    def _close(self, node: LiveNode, shell: LiveNode | None, phase: str) -> None:
        for each in (node, shell):
            if each is not None:
                each.turn(phase, self.now)
                if self.kept:
                    kept = self.kept.get(each.node_id(self.name))
                    if kept is not None and kept.phase == phase == SUCCEEDED:
                        each.end = kept.finished_at

    def _skip(self, frame: Frame, name: str, parents: Iterable[LiveNode], phase: str) -> LiveNode:
        node = self._node(frame, name, phase)
        node.end = self.now
        for parent in parents:
            parent.add(node)
        return node

    def _outbound(self, run: TaskRun) -> list[LiveNode]:
        """Return the nodes after which a task's dependents hang (getOutboundNodes of Argo)."""
        if run.iterations:
            return [node for frame in run.iterations for each in frame.runs for node in self._outbound(each)]
        if run.inner is not None:
            leaves = [each for each in run.inner.runs if not each.plan.dependents]
            return [node for each in leaves for node in self._outbound(each)]
        node = run.driver if run.looped else run.executor or run.node or run.driver
        return [node] if node is not None else []

    # --- pods

    def _pod(
        self,
        run: TaskRun,
        node: LiveNode,
        shell: LiveNode | None,
        done: Callable[[Pod], None],
        attempt: int = 0,
    ) -> None:
        pod = Pod(self, run, node, shell, done, attempt)
        kept = self._kept_pod(node, shell)
        if kept is not None:
            pod.phase = kept.phase
            pod.started, pod.ended = kept.started_at, kept.finished_at
            node.turn(kept.phase, kept.finished_at)
            self._agenda.append((done, pod))
        elif self.terminating and not run.frame.exit:
            pod.phase, pod.ended = FAILED, self.now
            node.turn(FAILED, self.now)
            self._agenda.append((done, pod))
        else:
            self.changed = True
            self.live_pods.add(pod)
            self.pods.append(pod)

    def _kept_pod(self, node: LiveNode, shell: LiveNode | None) -> Node | None:
        """Return what a retried run keeps of a pod: that it succeeded, or failed on the way to success."""
        if not self.kept:
            return None
        kept = self.kept.get(node.node_id(self.name))
        around = self.kept.get(shell.node_id(self.name)) if shell is not None else kept
        if kept is None or around is None or around.phase != SUCCEEDED or kept.phase not in COMPLETED:
            return None
        return kept

    # --- tasks

    def _start(self, frame: Frame, dag: DagPlan) -> None:
        frame.dag = dag
        frame.runs = [TaskRun(frame, plan, plan.name) for plan in dag.tasks]
        frame.open = len(frame.runs)
        for run in frame.runs:
            if not run.waiting:
                self._agenda.append((self._begin, run))

    def _wrap(self, frame: Frame, plan: TaskPlan, name: str, base: dict[str, Any] | None = None) -> None:
        """Start a frame around a single task."""
        frame.runs = [TaskRun(frame, plan, name, base)]
        frame.open = 1
        self._agenda.append((self._begin, frame.runs[0]))

    def _parents(self, run: TaskRun) -> list[LiveNode]:
        frame = run.frame
        if frame.dag is None or not run.plan.dependencies:
            return [frame.node]
        return [node for index in run.plan.dependencies for node in self._outbound(frame.runs[index])]

    def _begin(self, run: TaskRun) -> None:
        frame, plan = run.frame, run.plan
        parents = self._parents(run)
        if frame.dag is not None and any(frame.runs[each].phase != SUCCEEDED for each in plan.dependencies):
            self._omit(run, parents)
            return
        kind = plan.component.kind
        if run.looped:
            self._begin_loop(run, parents)
            return
        if kind == "importer":
            run.shell, run.node = self._open(frame, run.name, parents, template=_IMPORTER)
            self._pod(run, run.node, run.shell, self._single_done)
            return
        name = run.name if kind == "volume" else f"{run.name}-driver"
        template = _DAG_DRIVER if kind == "dag" else _CONTAINER_DRIVER
        shell, run.driver = self._open(frame, name, parents, template=template)
        self._pod(run, run.driver, shell, self._single_done if kind == "volume" else self._driver_done)

    def _omit(self, run: TaskRun, parents: list[LiveNode]) -> None:
        kind = run.plan.component.kind
        if not run.looped and kind in {"dag", "container"}:
            parents = [self._skip(run.frame, f"{run.name}-driver", parents, OMITTED)]
        run.node = self._skip(run.frame, run.name, parents, OMITTED)
        self._finish(run, OMITTED)

    def _retried(self, pod: Pod) -> bool:
        """Try a pod that ended in an error again, where the manifests' default retryStrategy says so."""
        if pod.shell is None or not self.doubled:
            return False
        if pod.phase == ERROR and pod.attempt < _DEFAULT_RETRIES and not self.terminating:
            attempt = pod.attempt + 1
            node = self._inner(pod.shell, attempt, pod.node.template)
            if pod.node is pod.run.driver:
                pod.run.driver = node
            elif pod.node is pod.run.node:
                pod.run.node = node
            self._pod(pod.run, node, pod.shell, pod.done, attempt)
            return True
        return False

    def _end_shell(self, pod: Pod) -> None:
        if pod.shell is not None:
            pod.shell.turn(pod.phase, self.now)

    def _single_done(self, pod: Pod) -> None:
        """End a task that is one pod: an importer, or a volume that its driver makes."""
        if self._retried(pod):
            return
        self._end_shell(pod)
        self._finish(pod.run, pod.phase)

    def _driver_done(self, pod: Pod) -> None:
        if self._retried(pod):
            return
        run, frame = pod.run, pod.run.frame
        triggered = True
        if pod.phase == SUCCEEDED:
            try:
                run.inputs = self.resolver.inputs(self, run)
                triggered = self.resolver.triggered(run)
            except ResolveError as fault:
                pod.phase = FAILED
                pod.node.turn(FAILED, pod.ended)
                self.message = str(fault)
        self._end_shell(pod)
        after = [pod.node]
        if pod.phase != SUCCEEDED:
            run.node = self._skip(frame, run.name, after, OMITTED)
            self._finish(run, pod.phase)
        elif not triggered:
            run.node = self._skip(frame, run.name, after, SKIPPED)
            self._finish(run, SKIPPED)
        else:
            run.shell, run.node = self._open(frame, run.name, after)
            if run.plan.component.kind == "dag":
                self._enter(run)
            else:
                self._execute(run)

    def _enter(self, run: TaskRun) -> None:
        """Run the DAG of a task's component."""
        dag = run.plan.component.dag
        node = run.node
        if dag is None or node is None:
            raise AssertionError("only a DAG that was opened is entered")
        frame = Frame(node, run.shell, run.path, run, self._component_ended, exit_=run.frame.exit)
        frame.inputs = run.inputs
        run.inner = frame
        self._start(frame, dag)

    def _component_ended(self, frame: Frame, phase: str) -> None:
        if frame.owner is not None:
            self._finish(frame.owner, phase)

    # --- executors

    def _execute(self, run: TaskRun) -> None:
        body = self._body(run)
        if run.plan.cache and self.host.cached(self, run):
            run.executor = self._skip(body, "executor", [body.node], SKIPPED)
            self._executed(run, SUCCEEDED)
            return
        retry = run.plan.retry
        run.first_try = self.now
        shell, node = self._open(
            body,
            "executor",
            [body.node],
            template=_EXECUTOR if retry is None else f"retry-{_EXECUTOR}",
            retried=retry is not None,
        )
        run.executor = node
        self._pod(run, node, shell, self._executor_done)

    def _body(self, run: TaskRun) -> Frame:
        node = run.node
        if node is None:
            raise AssertionError("a task has its node before its executor")
        return Frame(node, run.shell, run.path, run, self._component_ended, exit_=run.frame.exit)

    def _executor_done(self, pod: Pod) -> None:
        if pod.phase != SUCCEEDED and self._try_later(pod):
            return
        self._end_shell(pod)
        if pod.phase == SUCCEEDED and pod.run.plan.cache:
            self.host.succeeded(self, pod.run)
        self._executed(pod.run, pod.phase)

    def _executed(self, run: TaskRun, phase: str) -> None:
        if run.node is not None:
            self._close(run.node, run.shell, phase)
        self._finish(run, phase)

    def _try_later(self, pod: Pod) -> bool:
        """Plan the next try of a failed executor, if its retry policy has one left."""
        run, retry = pod.run, pod.run.plan.retry
        if self.terminating and not run.frame.exit:
            return False
        if retry is None:
            return self._retried_executor(pod)
        if pod.phase != FAILED or pod.attempt >= retry.max_count:
            return False
        delay = round(retry.backoff_seconds * retry.backoff_factor ** min(pod.attempt, 64) * SECOND)
        if (
            retry.backoff_max_seconds
            and self.now + delay - run.first_try > retry.backoff_max_seconds * SECOND
        ):
            return False
        self._plan_try(run, pod, self.now + delay)
        return True

    def _retried_executor(self, pod: Pod) -> bool:
        if pod.shell is None or pod.phase != ERROR or pod.attempt >= _DEFAULT_RETRIES:
            return False
        self._plan_try(pod.run, pod, self.now)
        return True

    def _plan_try(self, run: TaskRun, pod: Pod, when: int) -> None:
        run.executor = pod.shell
        attempt = pod.attempt + 1
        if when <= self.now or self._kept_pod(pod.node, pod.shell) is not None:
            self._agenda.append((self._try, (run, attempt)))
        else:
            self.tries.append((when, run, attempt))
            self.wake_at = when if self.wake_at is None else min(when, self.wake_at)

    def _try(self, subject: tuple[TaskRun, int]) -> None:
        run, attempt = subject
        shell = run.executor
        if shell is None:
            raise AssertionError("a second try has a shell")
        template = _EXECUTOR if run.plan.retry is None else f"retry-{_EXECUTOR}"
        node = self._inner(shell, attempt, template)
        run.executor = node
        self._pod(run, node, shell, self._executor_done, attempt)

    # --- loops

    def _begin_loop(self, run: TaskRun, parents: list[LiveNode]) -> None:
        run.shell, run.node = self._open(run.frame, run.name, parents)
        loop = Frame(run.node, run.shell, run.path, run, self._component_ended, exit_=run.frame.exit)
        shell, run.driver = self._open(loop, "iteration-driver", [run.node], template=_DAG_DRIVER)
        run.inner = loop
        self._pod(run, run.driver, shell, self._items_known)

    def _items_known(self, pod: Pod) -> None:
        if self._retried(pod):
            return
        run = pod.run
        loop = run.inner
        run.inner = None
        if loop is None:
            raise AssertionError("a loop has its frame before its driver")
        triggered = True
        if pod.phase == SUCCEEDED:
            try:
                run.inputs = self.resolver.inputs(self, run)
                triggered = self.resolver.triggered(run)
                run.items = self.resolver.items(run) if triggered else []
            except ResolveError as fault:
                pod.phase = FAILED
                pod.node.turn(FAILED, pod.ended)
                self.message = str(fault)
        self._end_shell(pod)
        if pod.phase != SUCCEEDED or not run.items:
            phase = OMITTED if pod.phase != SUCCEEDED else SKIPPED
            run.driver = self._skip(loop, "iteration-iterations", [pod.node], phase)
            self._loop_ended(run, pod.phase)
            return
        group = self._node(loop, "iteration-iterations", RUNNING)
        pod.node.add(group)
        run.driver = group
        loop.open = len(run.items)
        loop.node = group
        limit = run.plan.loop.parallelism if run.plan.loop is not None else 0
        for _ in range(min(limit or len(run.items), len(run.items))):
            self._iterate((run, loop))

    def _iterate(self, subject: tuple[TaskRun, Frame]) -> None:
        run, loop = subject
        index = len(run.iterations)
        plan = run.plan
        if plan.loop is None:
            raise AssertionError("only a loop iterates")
        name = f"iteration-iterations({index}:{index})"
        shell, node = self._open(loop, name, [loop.node])
        path = f"{loop.path}.{name}"

        def ended(frame: Frame, phase: str) -> None:
            loop.open -= 1
            if phase in BAD:
                run.worst = phase
            if len(run.iterations) < len(run.items):
                self._agenda.append((self._iterate, (run, loop)))
            elif not loop.open:
                loop.node.turn(run.worst, self.now)
                self._loop_ended(run, run.worst)

        frame = Frame(node, shell, path, run, ended, exit_=run.frame.exit)
        frame.scope = run.frame.scope
        run.iterations.append(frame)
        base = {key: value for key, value in run.inputs.items() if key != plan.loop.items_input}
        base[plan.loop.item_input] = run.items[index]
        self._wrap(frame, plan, "iteration-item", base)

    def _loop_ended(self, run: TaskRun, phase: str) -> None:
        if run.node is not None:
            self._close(run.node, run.shell, phase)
        self._finish(run, phase)

    # --- ends

    def _finish(self, run: TaskRun, phase: str) -> None:
        run.phase = phase
        self.changed = True
        self.host.task_ended(self, run)
        if run.plan.hook is not None and run.node is not None and run.node.phase in COMPLETED:
            self.hooks.append(run)
        else:
            self._settle(run)

    def _run_hook(self, run: TaskRun) -> None:
        """Run the exit task of a task that has ended, one pass later."""
        hook = run.plan.hook
        if hook is None or run.node is None:
            raise AssertionError("only a task with a hook has its exit task run")
        name = f"{run.name}.onExit"
        shell, node = self._open(run.frame, name, [run.shell or run.node])

        def ended(frame: Frame, phase: str) -> None:
            self._settle(run)

        frame = Frame(node, shell, f"{run.path}.onExit", run, ended, exit_=True)
        frame.scope = run.frame.scope
        self._wrap(frame, hook, hook.name)

    def _settle(self, run: TaskRun) -> None:
        frame = run.frame
        frame.open -= 1
        if frame.dag is not None:
            for index in run.plan.dependents:
                dependent = frame.runs[index]
                dependent.waiting -= 1
                if not dependent.waiting:
                    self._agenda.append((self._begin, dependent))
        if not frame.open:
            self._agenda.append((self._close_frame, frame))

    def _close_frame(self, frame: Frame) -> None:
        phase = _outcome(frame)
        self._close(frame.node, frame.shell, phase)
        frame.closed(frame, phase)


def _outcome(frame: Frame) -> str:
    """Return the phase of a DAG: what was not executed inherits from what it waited for, the worse first."""
    branches: list[str] = []
    for run in frame.runs:
        if run.phase in COMPLETED:
            branches.append(run.phase)
        else:
            before = [branches[index] for index in run.plan.dependencies] if frame.dag is not None else []
            branches.append(next((phase for phase in before if phase in BAD), SUCCEEDED))
    leaves = frame.dag.leaves if frame.dag is not None else range(len(branches))
    return next((branches[index] for index in leaves if branches[index] in BAD), SUCCEEDED)


__all__ = ["MAX_NODES", "Frame", "Pod", "TaskRun", "Workflow"]
