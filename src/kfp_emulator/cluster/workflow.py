"""A run's workflow as the Argo controller takes it through its DAG, node by node.

It moves only in the controller's passes: `advance` applies what its pods did since the last one, and leaves the
pods to create or to kill. A *frame* is a DAG node that is running, a *task run* one task in it. Frames nest: the
entry holds `root`, a loop one frame for each item, a hook (`T.onExit`) an exit task.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from kfp_emulator.cluster import nodes
from kfp_emulator.cluster.executors import DEFAULT_RETRIES, execute
from kfp_emulator.cluster.frames import CONTAINER_DRIVER, DAG_DRIVER, IMPORTER, Frame, Host, Pod, TaskRun
from kfp_emulator.cluster.loops import begin_loop
from kfp_emulator.cluster.node_tree import MAX_NODES, NodeTree, TooManyNodes
from kfp_emulator.cluster.resolve import ResolveError, Resolver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kfp_emulator.cluster.nodes import LiveNode, Node
    from kfp_emulator.cluster.timing import Draws
    from kfp_emulator.pipelines.plans import Plan, TaskPlan


class Workflow:
    """One workflow.

    After `advance`, `pods` holds those to be made, `kills` those to be ended, `wake_at` when the controller has
    to look again even if nothing happens, `again` whether it has to look once more as soon as it can, `changed`
    whether there is anything to report. The cluster puts pods that have started or ended into `news`.
    """

    __slots__ = (
        "_agenda",
        "again",
        "changed",
        "created_at",
        "draws",
        "finished_at",
        "hooks",
        "host",
        "kills",
        "live_pods",
        "message",
        "missing",
        "news",
        "parameters",
        "phase",
        "plan",
        "pods",
        "resolver",
        "run_id",
        "started_at",
        "terminating",
        "tree",
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
        *,
        draws: Draws,
        resolver: Resolver,
        host: Host,
        doubled: bool = False,
        kept: Iterable[Node] = (),
    ) -> None:
        self.run_id = run_id
        self.plan = plan
        self.parameters = parameters
        self.created_at = created_at
        self.draws = draws
        self.resolver = resolver
        self.host = host
        self.tree = NodeTree(name, doubled=doubled, kept=kept)
        self.phase = ""
        self.message = ""
        self.started_at: int | None = None
        self.finished_at: int | None = None
        self.news: list[Pod] = []
        self.live_pods: set[Pod] = set()
        self.pods: list[Pod] = []
        self.kills: list[Pod] = []
        self.tries: list[tuple[int, Callable[[], None]]] = []
        self.hooks: list[TaskRun] = []
        self.missing: list[Pod] = []
        self.terminating = False
        self.wake_at: int | None = None
        self.again = False
        self.changed = False
        self._agenda: deque[Callable[[], None]] = deque()

    @property
    def name(self) -> str:
        """The name of the Kubernetes object."""
        return self.tree.name

    @property
    def now(self) -> int:
        """The moment of the pass."""
        return self.tree.now

    def placeholders(self) -> dict[str, str]:
        """Return the values of placeholders in constants."""
        return {
            "{{$.pipeline_job_uuid}}": self.run_id,
            "{{$.pipeline_job_name}}": self.name,
            "{{$.pipeline_job_resource_name}}": self.name,
        }

    # --- the controller's pass

    def advance(self, now: int) -> None:
        """Make one pass."""
        self.tree.now = now
        self.pods, self.kills = [], []
        self.again = self.changed = False
        self.wake_at = None
        if self.finished_at is not None:
            return
        try:
            if self.started_at is None:
                self._begin_workflow()
            self._apply_news()
            self._start_due_tries()
            if self.terminating:
                self.kills = [pod for pod in self.live_pods if not pod.run.frame.exit]
            agenda = self._agenda
            while agenda:
                agenda.popleft()()
        except TooManyNodes:
            self._give_up(f"the workflow has more than {MAX_NODES} nodes")
        self.again = bool(self.hooks or self.missing)

    def _begin_workflow(self) -> None:
        self.phase = nodes.RUNNING
        self.changed = True
        shell, node = self.tree.open(None, self.name, ())
        self.started_at = node.start
        entry = Frame(node, shell, "", None, lambda _, phase: self._end_workflow(phase))
        self.wrap(entry, self.plan.root, "root", self.parameters)

    def _apply_news(self) -> None:
        news, self.news = self.news, []
        for pod in news:
            if pod not in self.live_pods:
                continue  # its start and its end came together
            self.changed = True
            if pod.ended is None:
                pod.node.turn(nodes.RUNNING)
            else:
                self.live_pods.discard(pod)
                pod.node.turn(pod.phase, pod.ended)
                self._agenda.append(partial(pod.done, pod))
        missing, self.missing = self.missing, []
        for pod in missing:
            self.changed = True
            pod.phase, pod.ended = nodes.FAILED, self.now
            pod.node.turn(nodes.FAILED, self.now)
            self._agenda.append(partial(pod.done, pod))
        hooks, self.hooks = self.hooks, []
        for run in hooks:
            self._agenda.append(partial(self._run_hook, run))

    def _start_due_tries(self) -> None:
        tries, self.tries = self.tries, []
        for when, step in tries:
            self.plan_try(step, self.now if self.terminating else when)

    def _give_up(self, message: str) -> None:
        self._agenda.clear()
        self.hooks.clear()
        self.missing.clear()
        self.message = message
        self.kills = list(self.live_pods)
        self.pods = []
        for node in self.tree.nodes:
            if node.phase in {nodes.PENDING, nodes.RUNNING}:
                node.turn(nodes.ERROR, self.now)
        self._end_workflow(nodes.ERROR)

    def _end_workflow(self, phase: str) -> None:
        self.phase = phase
        self.finished_at = self.now
        self.changed = True

    # --- what the steps use

    def later(self, step: Callable[[], None]) -> None:
        """Do `step` in this pass, after what is already to be done."""
        self._agenda.append(step)

    def make_pod(
        self,
        run: TaskRun,
        node: LiveNode,
        shell: LiveNode | None,
        done: Callable[[Pod], None],
        attempt: int = 0,
    ) -> None:
        """Have a pod made for a node; `done` is called in the pass after its end.

        What a retried run has kept of it is taken as it was. Once the run is terminated, no pod is created but in
        an exit handler: the node stays pending until the next pass, which finds its pod missing and fails it.
        """
        pod = Pod(self, run, node, shell, done, attempt)
        kept = self.tree.kept_pod(node, shell)
        if kept is None and self.terminating and not run.frame.exit:
            self.changed = True
            self.missing.append(pod)
            return
        if kept is None:
            self.changed = True
            self.live_pods.add(pod)
            self.pods.append(pod)
            return
        pod.phase, pod.ended = kept.phase, kept.finished_at
        node.start = node.start if kept.started_at is None else kept.started_at
        node.turn(pod.phase, pod.ended)
        self.later(partial(done, pod))

    def plan_try(self, step: Callable[[], None], when: int) -> None:
        """Run a step that starts another attempt at `when`."""
        if when <= self.now:
            self.later(step)
        else:
            self.tries.append((when, step))
            self.wake_at = when if self.wake_at is None else min(when, self.wake_at)

    def tried_again(self, pod: Pod) -> bool:
        """Try a driver that ended in an error again, where the manifests' default retryStrategy does."""
        tryable = pod.shell is not None and pod.phase == nodes.ERROR and pod.attempt < DEFAULT_RETRIES
        if not tryable or pod.shell is None or self.terminating:
            return False
        run = pod.run
        node = self.tree.open_try(pod.shell, pod.attempt + 1, pod.node.template)
        if run.driver is pod.node:
            run.driver = node
        else:
            run.node = node
        self.make_pod(run, node, pod.shell, pod.done, pod.attempt + 1)
        return True

    def close_shell(self, pod: Pod) -> None:
        """End the shell around a pod's tries as the last of them ended."""
        if pod.shell is not None:
            pod.shell.turn(pod.phase, self.now)

    def fail_driver(self, pod: Pod, message: str) -> None:
        """Let a driver fail that could not work out what its task needs."""
        pod.phase = nodes.FAILED
        pod.node.turn(nodes.FAILED, pod.ended)
        self.message = message

    # --- tasks

    def wrap(self, frame: Frame, plan: TaskPlan, name: str, base: dict[str, Any] | None = None) -> None:
        """Start a frame around a single task."""
        frame.runs = [TaskRun(frame, plan, name, base)]
        frame.open = 1
        self.later(partial(self._begin, frame.runs[0]))

    def _enter(self, run: TaskRun, node: LiveNode) -> None:
        """Run the DAG of a task's component."""
        dag = run.plan.component.dag
        if dag is None:
            raise AssertionError("only a DAG is entered")
        frame = run.inner = Frame(node, run.shell, run.path, run, self.component_ended)
        frame.inputs = run.inputs
        frame.dag = dag
        frame.runs = [TaskRun(frame, plan, plan.name) for plan in dag.tasks]
        frame.open = len(frame.runs)
        for inner in frame.runs:
            if not inner.waiting:
                self.later(partial(self._begin, inner))

    def component_ended(self, frame: Frame, phase: str) -> None:
        """End the task whose DAG has ended."""
        if frame.owner is not None:
            self.finish(frame.owner, phase)

    def _begin(self, run: TaskRun) -> None:
        frame, plan, kind = run.frame, run.plan, run.plan.component.kind
        before = [frame.runs[index] for index in plan.dependencies] if frame.dag is not None else []
        parents = [node for each in before for node in each.outbound()] if before else [frame.node]
        if any(each.phase != nodes.SUCCEEDED for each in before):
            self._omit(run, parents)
        elif run.looped:
            begin_loop(self, run, parents)
        elif kind == "importer":
            run.shell, run.node = self.tree.open(frame, run.name, parents, template=IMPORTER)
            self.make_pod(run, run.node, run.shell, self._single_done)
        else:
            name = run.name if kind == "volume" else f"{run.name}-driver"
            template = DAG_DRIVER if kind == "dag" else CONTAINER_DRIVER
            shell, run.driver = self.tree.open(frame, name, parents, template=template)
            done = self._single_done if kind == "volume" else self._driver_done
            self.make_pod(run, run.driver, shell, done)

    def _omit(self, run: TaskRun, parents: list[LiveNode]) -> None:
        if not run.looped and run.plan.component.kind in {"dag", "container"}:
            parents = [self.tree.skip(run.frame, f"{run.name}-driver", parents, nodes.OMITTED)]
        node = self.tree.skip(run.frame, run.name, parents, nodes.OMITTED)
        if run.looped:
            run.driver = node
        run.node = node
        self.finish(run, nodes.OMITTED)

    def _single_done(self, pod: Pod) -> None:
        """End a task that is one pod: an importer, or a volume that its driver makes."""
        if pod.kind == "importer" and pod.phase == nodes.SUCCEEDED:
            try:
                self.resolver.artifact_uri(pod.run)
            except ResolveError as fault:
                self.fail_driver(pod, f"failed to execute importer component: {fault}")
        if not self.tried_again(pod):
            self.close_shell(pod)
            self.finish(pod.run, pod.phase)

    def _driver_done(self, pod: Pod) -> None:
        if self.tried_again(pod):
            return
        run = pod.run
        triggered = True
        if pod.phase == nodes.SUCCEEDED:
            try:
                run.inputs = self.resolver.inputs(self, run)
                triggered = self.resolver.triggered(run)
            except ResolveError as fault:
                self.fail_driver(pod, str(fault))
        self.close_shell(pod)
        if pod.phase != nodes.SUCCEEDED or not triggered:
            phase = nodes.SKIPPED if pod.phase == nodes.SUCCEEDED else nodes.OMITTED
            run.node = self.tree.skip(run.frame, run.name, [pod.node], phase)
            self.finish(run, nodes.SKIPPED if pod.phase == nodes.SUCCEEDED else pod.phase)
            return
        run.shell, run.node = self.tree.open(run.frame, run.name, [pod.node])
        if run.plan.component.kind == "dag":
            self._enter(run, run.node)
        else:
            execute(self, run)

    # --- ends

    def finish(self, run: TaskRun, phase: str) -> None:
        """End a task; what was executed has its exit task run first.

        Argo starts the exit task of a DAG's last tasks in the pass in which they end, and of others when it comes
        to them again (executeDAG and executeDAGTask of workflow/controller/dag.go).
        """
        run.phase = phase
        self.changed = True
        self.host.task_ended(self, run)
        if run.plan.hook is None or run.node is None or run.node.phase not in nodes.COMPLETED:
            self._settle(run)
        elif run.plan.dependents:
            self.hooks.append(run)
        else:
            self.later(partial(self._run_hook, run))

    def _run_hook(self, run: TaskRun) -> None:
        hook, node = run.plan.hook, run.shell or run.node
        if hook is None or node is None:
            raise AssertionError("only a task with a hook has its exit task run")
        shell, inner = self.tree.open(run.frame, f"{run.name}.onExit", [node])
        frame = Frame(inner, shell, f"{run.path}.onExit", run, lambda _, __: self._settle(run))
        frame.exit = True
        frame.scope = run.frame.scope
        self.wrap(frame, hook, hook.name)

    def _settle(self, run: TaskRun) -> None:
        """Begin what waited for a task, and end the frame after its last one."""
        frame = run.frame
        frame.open -= 1
        if frame.dag is not None:
            for index in run.plan.dependents:
                dependent = frame.runs[index]
                dependent.waiting -= 1
                if not dependent.waiting:
                    self.later(partial(self._begin, dependent))
        if not frame.open:
            self.later(partial(self._close_frame, frame))

    def _close_frame(self, frame: Frame) -> None:
        phase = frame.outcome()
        self.tree.close(frame.node, frame.shell, phase)
        frame.closed(frame, phase)
