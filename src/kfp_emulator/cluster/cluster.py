"""The Kubernetes cluster behind the API server: workflows, and the controller that drives them.

Everything happens at moments that a clock calls; nothing waits. What takes how long stands in a profile, and is
drawn from the seed, the run and the task, so that runs do not change each other's times except by contention.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

from kfp_emulator.cluster.agent import PersistenceAgent
from kfp_emulator.cluster.cel import Cel
from kfp_emulator.cluster.cluster_run import ClusterRun
from kfp_emulator.cluster.controller_client import ControllerClient
from kfp_emulator.cluster.counts import ClusterCounts
from kfp_emulator.cluster.nodes import BAD, Node, Report
from kfp_emulator.cluster.outcomes import MOST, Outcome
from kfp_emulator.cluster.passes import Passes
from kfp_emulator.cluster.pods import Pods
from kfp_emulator.cluster.requests import RunRequest, TruthEvent, workflow_name
from kfp_emulator.cluster.resolve import Resolver
from kfp_emulator.cluster.task_cache import TaskCache, fingerprint
from kfp_emulator.cluster.throttle import Throttle
from kfp_emulator.cluster.timing import Draws, Profile
from kfp_emulator.cluster.values import make_output
from kfp_emulator.cluster.workflow import Workflow
from kfp_emulator.pipelines.compiler import compile_pipeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kfp_emulator.clock import Clock
    from kfp_emulator.cluster.frames import Pod, RunningWorkflow, TaskRun
    from kfp_emulator.cluster.pods import PodLog

KEPT_WORKFLOWS = 10_000
"""How many failed workflows are kept so that their runs can be retried, as Argo's TTL keeps them for a while."""


class UnknownWorkflow(KeyError):
    """There is no such workflow in the cluster."""


class _Finished(NamedTuple):
    """What is kept of a failed workflow: a retry needs it."""

    request: RunRequest
    name: str
    nodes: tuple[Node, ...]
    decided: dict[str, dict[str, Any]]


class Cluster:
    """A modelled cluster.

    Args:
        profile: how long everything takes.
        clock: calls what is due.
        on_report: called with every report that leaves the cluster.
        seed: of all that is random here.
        truth: called with every event, as it happens.
        anonymous_cache_entries: whether a cached-enabled task that succeeded adds an entry without a name.
        doubled_retry_nodes: whether each executed template is a node and its first try, as with manifests since
            June 2026.
        pod_log: receives the changes of pods that Kubernetes shows.

    """

    def __init__(
        self,
        profile: Profile,
        clock: Clock,
        on_report: Callable[[Report], None],
        *,
        seed: int = 0,
        truth: Callable[[TruthEvent], None] | None = None,
        anonymous_cache_entries: bool = False,
        doubled_retry_nodes: bool = False,
        pod_log: PodLog | None = None,
    ) -> None:
        self.profile = profile
        self.clock = clock
        self.seed = seed
        self.anonymous_cache_entries = anonymous_cache_entries
        self.doubled_retry_nodes = doubled_retry_nodes
        self._on_report = on_report
        self._truth = truth
        self._resolver = Resolver(Cel(), self._make)
        self._runs: dict[str, ClusterRun] = {}
        self._log = pod_log
        self.counts = ClusterCounts()
        self._pods = Pods(profile, clock, self)
        self.reset()

    def reset(self) -> None:
        """Drop everything: workflows, cache, outcomes; what was under way is not reported any more."""
        lost, self._runs = self._runs, {}
        self._pods.remove([pod for run in lost.values() for pod in run.workflow.live_pods])
        for run in lost.values():
            self._take_away(run)
        if self._log is not None:
            self._log.reset()
        profile = self.profile
        self._finished: OrderedDict[str, _Finished] = OrderedDict()
        self.counts.reset()
        self._outcomes: list[Outcome] = []
        self._cache = TaskCache()
        self._throttle = Throttle(profile.kubernetes_calls_per_second, profile.kubernetes_burst)
        self._pods = Pods(profile, self.clock, self, self._log)
        self.agent = PersistenceAgent(profile, self.clock, self._throttle, self._report)
        self._write_draws = Draws(self.seed, "kubernetes writes")
        self._writes = 0
        self._executions = 0
        self._client = ControllerClient(profile, self.clock, self.counts.controller)
        self._passes = Passes(profile, self.clock, self._pass, self.counts.controller)

    # --- requests of the API server

    def create_delay(self) -> int:
        """Return how long the next write to Kubernetes takes, in microseconds; each call takes its turn."""
        self._writes += 1
        wait = self._throttle.take(self.clock.now())
        return wait + self.profile.create_seconds.draw(self._write_draws, str(self._writes))

    def submit(self, request: RunRequest, *, name: str = "") -> str:
        """Create the workflow of a run; return its name, which is a generated one unless `name` is given.

        The same seed and run give the same workflow, with the same times but for contention. Where `created_at`
        is in the past, the workflow catches up at once.

        Raises:
            CompileError: the pipeline cannot be compiled; the text follows "Internal error: ".

        """
        name = name or workflow_name(request, self.seed)
        self._add(_Finished(request, name, (), {}), request.created_at)
        return name

    def terminate(self, run_id: str) -> None:
        """End a run: its pods are killed at the controller's next pass, its exit handlers run, then it has failed.

        Nothing happens where the workflow has ended, or is not there.
        """
        run = self._runs.get(run_id)
        if run is not None and run.workflow.finished_at is None:
            now = self.clock.now()
            run.workflow.terminating = True
            self._passes.request(run, now + self._passes.requeue(run))
            self.agent.changed(run, now)

    def retry(
        self, run_id: str, *, request: RunRequest | None = None, name: str = "", nodes: Iterable[Node] = ()
    ) -> None:
        """Run again what failed in a workflow that has ended; nodes keep their ids.

        The cluster keeps the last failed workflows. For others `request`, the workflow's `name` and the `nodes`
        that were last reported are needed; without nodes everything runs again.

        Raises:
            UnknownWorkflow: it is not kept, and no request is given.

        """
        kept = self._finished.pop(run_id, None)
        if kept is None:
            if request is None:
                raise UnknownWorkflow(run_id)
            kept = _Finished(request, name or workflow_name(request, self.seed), tuple(nodes), {})
        self._add(kept, self.clock.now())

    def delete(self, run_id: str) -> None:
        """Take a run's workflow and its cached executions out of the cluster, in whatever state it is."""
        self._cache.drop_run(run_id)
        self._finished.pop(run_id, None)
        self.counts.deleted(run_id)
        run = self._runs.pop(run_id, None)
        if run is not None:
            self._take_away(run)
        if self._log is not None:
            self._log.removed(run_id)

    def in_flight(self) -> int:
        """Return how many workflows have not ended, or not been reported to have."""
        return len(self._runs)

    def waiting_pods(self) -> int:
        """Return how many pods wait for a place on a node."""
        return self._pods.waiting()

    def runs(self) -> Iterable[ClusterRun]:
        """Return the runs whose workflows have not ended, or not been reported to have."""
        return self._runs.values()

    def queue(self) -> tuple[int, list[int]]:
        """Return how many workers of the controller are busy, and since when the workflows in its queue wait."""
        return self._passes.busy, self._passes.waiting_since()

    def hold_controller(self, until: int) -> None:
        """Let the workflow controller be down until then; what it has counted is lost."""
        self._passes.hold(until)
        self.counts.controller.reset()

    def _add(self, before: _Finished, at: int) -> None:
        """Let the controller begin at `at` with a workflow, on what was there before."""
        request = before.request
        workflow = Workflow(
            request.run_id,
            before.name,
            compile_pipeline(request.pipeline),
            request.parameters,
            request.created_at,
            draws=Draws(self.seed, request.run_id),
            resolver=self._resolver,
            host=self,
            doubled=self.doubled_retry_nodes,
            kept=[node for node in before.nodes if node.node_id],
        )
        if request.run_id in self._runs:
            self._take_away(self._runs[request.run_id])
        executions = [(node.execution_id, node.created_at) for node in before.nodes if not node.node_id]
        run = ClusterRun(request, workflow, executions=executions, decided=before.decided)
        self._runs[request.run_id] = run
        self._record(request.run_id, "queued", "", at)
        self._passes.request(run, at)
        self.agent.changed(run, at)

    def _take_away(self, run: ClusterRun) -> None:
        run.gone = True
        if run.passing is not None:
            run.passing.cancel()
        self._pods.remove(run.workflow.live_pods)

    # --- the control API

    def set_outcome(self, outcome: Outcome) -> None:
        """Decide about tasks that have not run yet; of rules that fit, the last one counts."""
        self._outcomes.append(outcome)
        del self._outcomes[:-MOST]

    def clear_outcomes(self) -> None:
        """Drop all rules."""
        self._outcomes.clear()

    def outcomes(self) -> tuple[Outcome, ...]:
        """Return what was decided, oldest first."""
        return tuple(self._outcomes)

    def _outcome(self, workflow: RunningWorkflow, task: TaskRun) -> Outcome | None:
        if not self._outcomes:
            return None
        request = self._runs[workflow.run_id].request
        pipeline, name = request.pipeline_name or request.pipeline.name, task.plan.name
        for number, outcome in enumerate(reversed(self._outcomes)):
            if outcome.fits(name, pipeline, request.run_id) and (
                outcome.share >= 1 or workflow.draws.uniform(f"share:{number}:{name}") < outcome.share
            ):
                return outcome
        return None

    # --- the workflow controller

    def _pass(self, run: ClusterRun, release: Callable[[], None]) -> None:
        """Make one pass; `release` is called when the worker is free again."""
        workflow, now = run.workflow, self.clock.now()
        begins, nodes = workflow.started_at is None, len(workflow.tree.nodes)
        self._pods.label(workflow.news)
        workflow.advance(now)
        self._client.events(len(workflow.tree.nodes) - nodes, begins=begins)
        if workflow.pods or workflow.again:
            self._passes.request(run, now + self._passes.requeue(run))
        for pod in workflow.kills:
            self._pods.kill(pod)
        if workflow.wake_at is not None:
            self._passes.request(run, workflow.wake_at)
        if workflow.changed and workflow.finished_at is not None:
            self._record(workflow.run_id, "run_finished", "", now)
        self.counts.looked(run, began=begins)
        pods, changed = workflow.pods, workflow.changed
        run.sending = True

        def create(index: int) -> None:
            if not (run.gone or pods[index].killed):
                self.counts.pods += 1
                self._pods.create(pods[index], run.request)

        def written() -> None:
            run.sending = False
            if changed and not run.gone:
                self.agent.changed(run, self.clock.now())
            if run.postponed and not run.gone:
                run.postponed = False
                self._passes.request(run, self.clock.now())
            release()

        self._client.create(len(pods), create, written, begins=begins)

    def _report(self, run: ClusterRun, report: Report) -> None:
        """Pass a report on; after its last one the workflow is gone, but for what a retry needs."""
        run_id = report.run_id
        self.counts.reports += 1
        if report.finished_at is not None:
            del self._runs[run_id]
            self._take_away(run)
            if report.phase in BAD:
                self._finished[run_id] = _Finished(
                    run.request, report.workflow_name, report.nodes, run.decided
                )
                if len(self._finished) > KEPT_WORKFLOWS:
                    self._finished.popitem(last=False)
        self._on_report(report)

    # --- events of pods (pods.Observer)

    def pod_changed(self, pod: Pod) -> None:
        """Have the controller look at a pod that has started, or ended."""
        run = self._runs[pod.workflow.run_id]
        if pod.ended is not None:
            self._client.label_pod()
        self.counts.pod_changed(run, pod)
        pod.workflow.news.append(pod)
        self._passes.request(run, self.clock.now() + self._passes.requeue(run))

    def decided(self, pod: Pod) -> Outcome | None:
        """Return what was decided about a pod's task."""
        return self._outcome(pod.workflow, pod.run)

    def pod_truth(self, pod: Pod, what: str, at: int) -> None:
        """Record an event of a pod."""
        if self._truth is not None:
            self._record(pod.workflow.run_id, what, pod.run.path, at)

    # --- calls of workflows (frames.Host)

    def cached(self, workflow: RunningWorkflow, run: TaskRun) -> bool:
        """Whether a task's execution is in the cache."""
        run.origin = self._cache.newest(self._fingerprint(workflow, run))
        return run.origin is not None

    def succeeded(self, workflow: RunningWorkflow, run: TaskRun) -> None:
        """Put a task's execution into the cache."""
        self._set_origin(workflow, run)
        self._cache.add(self._fingerprint(workflow, run), workflow.run_id, run.origin)
        self._executions += 1
        if self.anonymous_cache_entries:
            self._runs[workflow.run_id].executions.append((self._executions, workflow.now))

    def task_ended(self, workflow: RunningWorkflow, run: TaskRun) -> None:
        """Record the end of a task."""
        if self._truth is not None and run.frame.path:
            self._record(workflow.run_id, "task_finished", run.path, workflow.now)

    def _fingerprint(self, workflow: RunningWorkflow, run: TaskRun) -> bytes:
        request = self._runs[workflow.run_id].request
        return fingerprint(
            run.plan, run.inputs, request.namespace, request.pipeline_name or request.pipeline.name
        )

    def _make(self, workflow: RunningWorkflow, run: TaskRun, key: str) -> Any:
        """Make up an output of a container: as decided, as cached, or from the seed."""
        if run.origin is None:
            self._set_origin(workflow, run)
        draws, path, outputs = run.origin
        if key in outputs:
            return outputs[key]
        owner = run.frame.scope.owner
        holder = workflow.plan.root if owner is None else owner.plan
        return make_output(workflow.plan, holder.component, run.plan, key, draws, path)

    def _set_origin(self, workflow: RunningWorkflow, run: TaskRun) -> None:
        """Settle where the outputs of an execution come from: the draws, the path, and what was decided."""
        decided = self._runs[workflow.run_id].decided
        path = run.path
        outputs = decided.get(path)
        if outputs is None:
            outcome = self._outcome(workflow, run)
            outputs = {} if outcome is None else outcome.outputs
            if outputs:
                decided[path] = outputs
        run.origin = (workflow.draws, path, outputs)

    def _record(self, run_id: str, what: str, task: str, at: int) -> None:
        if self._truth is not None:
            self._truth(TruthEvent(run_id, what, task.removeprefix("root").removeprefix("."), at))
