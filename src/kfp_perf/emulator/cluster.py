"""The Kubernetes cluster behind the API server: the workflow controller, pods, and the persistence agent.

Everything happens at moments that a clock calls; nothing waits. What takes how long stands in a profile, and is
drawn from the seed, the run and the task, so that runs do not change each other's times except by contention.
"""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from kfp_perf.emulator.cel import Cel
from kfp_perf.emulator.compiler import compile_pipeline
from kfp_perf.emulator.ir import CompileError
from kfp_perf.emulator.nodes import BAD, ERROR, FAILED, SUCCEEDED, Node, Report
from kfp_perf.emulator.outcomes import MOST, Outcome
from kfp_perf.emulator.pods import Places
from kfp_perf.emulator.resolve import MISSING, Resolver
from kfp_perf.emulator.task_cache import TaskCache, fingerprint
from kfp_perf.emulator.throttle import Throttle
from kfp_perf.emulator.timing import Draws, Profile
from kfp_perf.emulator.values import make_output
from kfp_perf.emulator.workflow import Pod, TaskRun, Workflow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kfp_perf.emulator.clock import Clock, Event
    from kfp_perf.emulator.ir import Pipeline

KEPT_WORKFLOWS = 10_000
"""How many failed workflows are kept so that their runs can be retried, as Argo's TTL keeps them for a while."""

_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"
"""The letters of Kubernetes' generated names."""


class UnknownWorkflow(KeyError):
    """There is no such workflow in the cluster."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What the API server asks for when it creates a run; `parameters` are bound, `created_at` in microseconds."""

    run_id: str
    name: str
    pipeline: Pipeline
    parameters: dict[str, object]
    namespace: str = "kubeflow"
    pipeline_name: str = ""
    service_account: str = "pipeline-runner"
    created_at: int = 0
    recurring_run_id: str | None = None


class TruthEvent(NamedTuple):
    """What really happened to a run or a task, and when.

    `what` is one of queued, driver_start, driver_end, pod_start, executor_start, executor_end, task_finished,
    run_finished, visible. `task` is the path of the task below the pipeline, empty for the run and its root.
    """

    run_id: str
    what: str
    task: str
    at_us: int


@dataclass(slots=True, eq=False)
class _Run:
    """A workflow in the cluster, with what the cluster does about it."""

    request: RunRequest
    workflow: Workflow
    passing: Event | None = None
    pass_at: int = 0
    reporting: bool = False
    reported: bool = False
    deleted: bool = False
    cached: list[tuple[int, int]] = field(default_factory=list)
    """Anonymous entries: the execution id, and when it was made."""


class Cluster:
    """A modelled cluster.

    Args:
        profile: how long everything takes.
        clock: calls what is due.
        on_report: is told of every report that arrives at the API server.
        seed: of all that is random here.
        truth: is told what really happens, as it happens.
        anonymous_cache_entries: whether a cached-enabled task that succeeded adds an entry without a name.
        doubled_retry_nodes: whether each executed template is a node and its first try, as with manifests since
            June 2026.

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
    ) -> None:
        self.profile = profile
        self.clock = clock
        self.seed = seed
        self.anonymous_cache_entries = anonymous_cache_entries
        self.doubled_retry_nodes = doubled_retry_nodes
        self.report_delay_us = 0
        """An additional lag of every report, in microseconds, for the fault "slow reports"."""
        self._on_report = on_report
        self._truth = truth
        self._cel = Cel()
        self._resolver = Resolver(self._cel, self._make)
        self.reset()

    def reset(self) -> None:
        """Lose everything: workflows, cache, outcomes; nothing that was under way is reported any more."""
        for run in getattr(self, "_runs", {}).values():
            run.deleted = True
        profile = self.profile
        self._runs: dict[str, _Run] = {}
        self._finished: OrderedDict[str, tuple[RunRequest, str, tuple[Node, ...]]] = OrderedDict()
        self._by_workflow: dict[Workflow, _Run] = {}
        self._places = Places(profile.nodes, profile.pods_per_node)
        self._cache = TaskCache()
        self._outcomes: list[Outcome] = []
        self._throttle = Throttle(profile.kubernetes_calls_per_second, profile.kubernetes_burst)
        self._writes = 0
        self._write_draws = Draws(self.seed, "kubernetes writes")
        self._executions = 0
        self._busy_workers = 0
        self._passes: deque[_Run] = deque()
        self._reporters = [0] * profile.report_workers

    # --- what the API server asks for

    def create_delay(self) -> int:
        """Return how long the next write to Kubernetes takes, in microseconds; each call takes its turn."""
        self._writes += 1
        wait = self._throttle.take(self.clock.now())
        return wait + self.profile.create_seconds.draw(self._write_draws, str(self._writes))

    def check(self, pipeline: Pipeline) -> None:
        """Compile a pipeline as `submit` does.

        Raises:
            CompileError: it cannot be compiled.

        """
        compile_pipeline(pipeline)

    def submit(self, request: RunRequest) -> str:
        """Create the workflow of a run; return its name.

        The same seed and run give the same workflow, with the same times but for contention. Where `created_at`
        lies in the past, the workflow catches up at once.

        Raises:
            CompileError: the pipeline cannot be compiled; the text follows "Failed to compile job: ".

        """
        draws = Draws(self.seed, request.run_id)
        name = workflow_name(request, draws)
        self._add(request, name, draws, ())
        return name

    def _add(
        self, request: RunRequest, name: str, draws: Draws, kept: Iterable[Node], at: int | None = None
    ) -> None:
        workflow = Workflow(
            request.run_id,
            name,
            compile_pipeline(request.pipeline),
            request.parameters,
            request.created_at,
            draws,
            self._resolver,
            self,
            doubled=self.doubled_retry_nodes,
            kept=kept,
        )
        run = _Run(request, workflow)
        self._runs[request.run_id] = run
        self._by_workflow[workflow] = run
        at = request.created_at if at is None else at
        self._tell(run, "queued", "", at)
        self._request_pass(run, at)
        self._request_report(run, at)

    def terminate(self, run_id: str) -> None:
        """End a run: its pods are killed at the controller's next pass, its exit handlers run, then it has failed.

        Nothing happens where the workflow has ended, or is not there.
        """
        run = self._runs.get(run_id)
        if run is not None and run.workflow.finished_at is None:
            run.workflow.terminating = True
            self._request_pass(run, self.clock.now() + self._requeue(run))

    def retry(self, run_id: str, request: RunRequest | None = None, nodes: Iterable[Node] = ()) -> None:
        """Run again what failed in a workflow that has ended; nodes keep their ids.

        `request` and `nodes` (those last reported) are needed only for a workflow that is not kept any more.

        Raises:
            UnknownWorkflow: it is not kept, and no request is given.

        """
        kept = self._finished.pop(run_id, None)
        if kept is None:
            if request is None:
                raise UnknownWorkflow(run_id)
            kept = (request, workflow_name(request, Draws(self.seed, run_id)), tuple(nodes))
        request, name, before = kept
        self._add(request, name, Draws(self.seed, run_id), before, self.clock.now())

    def delete(self, run_id: str) -> None:
        """Take a run's workflow and its cached executions out of the cluster, in whatever state it is."""
        self._cache.drop_run(run_id)
        self._finished.pop(run_id, None)
        run = self._runs.pop(run_id, None)
        if run is None:
            return
        run.deleted = True
        self._by_workflow.pop(run.workflow, None)
        if run.passing is not None:
            run.passing.cancel()
        for pod in run.workflow.live_pods:
            self._remove(pod)
        self._place_waiting()

    def in_flight(self) -> int:
        """Return how many workflows have not ended, or not been reported to have."""
        return len(self._runs)

    def waiting_pods(self) -> int:
        """Return how many pods wait for a place on a node."""
        return self._places.waiting()

    # --- the control API

    def set_outcome(self, outcome: Outcome) -> None:
        """Decide about tasks that have not run yet; what was decided last counts."""
        self._outcomes.append(outcome)
        del self._outcomes[:-MOST]

    def clear_outcomes(self) -> None:
        """Decide nothing any more."""
        self._outcomes.clear()

    def outcomes(self) -> tuple[Outcome, ...]:
        """Return what was decided, oldest first."""
        return tuple(self._outcomes)

    def _outcome(self, run: _Run, task: TaskRun) -> Outcome | None:
        request = run.request
        pipeline = request.pipeline_name or request.pipeline.name
        for outcome in reversed(self._outcomes):
            if outcome.fits(task.plan.name, pipeline, request.run_id) and (
                outcome.share >= 1 or run.workflow.draws.uniform(f"share:{task.plan.name}") < outcome.share
            ):
                return outcome
        return None

    # --- the workflow controller

    def _requeue(self, run: _Run) -> int:
        profile = self.profile.controller_requeue_seconds
        return profile.draw(run.workflow.draws, f"requeue:{run.pass_at}")

    def _request_pass(self, run: _Run, at: int) -> None:
        """Have the controller look at a workflow at `at`, unless it will do so before."""
        if run.passing is not None:
            if run.pass_at <= at:
                return
            run.passing.cancel()
        run.pass_at = at
        run.passing = self.clock.call_at(at, lambda: self._pass_due(run))

    def _pass_due(self, run: _Run) -> None:
        run.passing = None
        if run.deleted:
            return
        duration = self.profile.controller_pass_seconds
        if duration.constant == 0:
            self._pass(run)
        elif self._busy_workers < self.profile.controller_workers:
            self._start_pass(run)
        else:
            self._passes.append(run)

    def _start_pass(self, run: _Run) -> None:
        self._busy_workers += 1
        took = self.profile.controller_pass_seconds.draw(run.workflow.draws, f"pass:{run.pass_at}")
        self.clock.call_at(self.clock.now() + took, lambda: self._end_pass(run))

    def _end_pass(self, run: _Run) -> None:
        self._busy_workers -= 1
        if not run.deleted:
            self._pass(run)
        while self._passes and self._busy_workers < self.profile.controller_workers:
            following = self._passes.popleft()
            if not following.deleted:
                self._start_pass(following)

    def _pass(self, run: _Run) -> None:
        workflow = run.workflow
        now = self.clock.now()
        workflow.advance(now)
        for pod in workflow.kills:
            self._kill(pod)
        made = workflow.pods
        if made:
            self._request_pass(run, now + self._requeue(run))
            for pod in made:
                self._create(run, pod)
        if workflow.again:
            self._request_pass(run, now + self._requeue(run))
        if workflow.wake_at is not None:
            self._request_pass(run, workflow.wake_at)
        if workflow.changed:
            if workflow.finished_at is not None:
                self._tell(run, "run_finished", "", now)
            self._request_report(run, now)

    # --- pods

    def _create(self, run: _Run, pod: Pod) -> None:
        place = self._places.take(pod)
        if place is not None:
            pod.place = place
            self._schedule(run, pod)

    def _place_waiting(self) -> None:
        while (found := self._places.next_waiting()) is not None:
            pod, place = found
            pod.place = place
            run = self._by_workflow.get(pod.workflow)
            if run is not None:
                self._schedule(run, pod)

    def _schedule(self, run: _Run, pod: Pod) -> None:
        """Plan a pod's start: it is scheduled, its image pulled where its node has not got it, and it comes up."""
        profile, draws = self.profile, run.workflow.draws
        label = f"{pod.run.path}:{pod.kind}:{pod.attempt}"
        at = self.clock.now() + profile.scheduling_seconds.draw(draws, f"{label}:scheduling")
        image = pod.image
        if image not in pod.place.images:
            pod.place.images.add(image)
            at += profile.image_pull_seconds.draw(draws, f"{label}:pull")
        if self._truth is not None:
            self._tell(run, "pod_start", pod.run.path, at)
        at += profile.startup_seconds.draw(draws, f"{label}:startup")
        if at <= self.clock.now():
            self._started(run, pod, label)
        else:
            pod.event = self.clock.call_at(at, lambda: self._started(run, pod, label))

    def _started(self, run: _Run, pod: Pod, label: str) -> None:
        now = self.clock.now()
        pod.started = now
        kind = pod.kind
        if self._truth is not None:
            what = "driver_start" if kind == "driver" else "executor_start"
            self._tell(run, what, pod.run.path, now)
        took = self._duration(run, pod, kind, label)
        if took is None:
            pod.event = None
        elif took <= 0:
            self._ended(run, pod)
            return
        else:
            pod.event = self.clock.call_at(now + took, lambda: self._ended(run, pod))
        pod.workflow.news.append(pod)
        self._request_pass(run, now + self._requeue(run))

    def _duration(self, run: _Run, pod: Pod, kind: str, label: str) -> int | None:
        """Decide how a pod ends, and return after how many microseconds; None if it never does."""
        profile, draws = self.profile, run.workflow.draws
        pod.phase = SUCCEEDED
        if kind == "driver":
            return profile.driver_seconds.draw(draws, label)
        name = pod.run.plan.name
        usual = profile.importer_seconds if kind == "importer" else profile.executor_distribution(name)
        took: int | None = usual.draw(draws, label)
        outcome = self._outcome(run, pod.run) if self._outcomes else None
        if outcome is not None:
            if outcome.failures < 0 or pod.attempt < outcome.failures:
                pod.phase = ERROR if outcome.error else FAILED
            if outcome.seconds is not None:
                took = round(outcome.seconds * 1_000_000)
            return None if outcome.stuck else took
        if (
            profile.executor_failure_share
            and draws.uniform(f"{label}:fails") < profile.executor_failure_share
        ):
            pod.phase = FAILED
        return took

    def _ended(self, run: _Run, pod: Pod) -> None:
        now = self.clock.now()
        pod.event = None
        pod.ended = now
        if self._truth is not None:
            what = "driver_end" if pod.kind == "driver" else "executor_end"
            self._tell(run, what, pod.run.path, now)
        self._leave(pod)
        pod.workflow.news.append(pod)
        self._request_pass(run, now + self._requeue(run))
        self._place_waiting()

    def _leave(self, pod: Pod) -> None:
        if pod.place is not None:
            self._places.release(pod.place)
            pod.place = None

    def _kill(self, pod: Pod) -> None:
        """Terminate a pod; one that has no place goes at once."""
        run = self._by_workflow.get(pod.workflow)
        if run is None or pod.ended is not None or pod.attempt < 0:
            return
        if pod.event is not None:
            pod.event.cancel()
        pod.phase = FAILED
        pod.attempt = -1
        if pod.place is None:
            self._places.forget(pod)
            self._ended(run, pod)
            return
        took = self.profile.termination_seconds.draw(run.workflow.draws, f"{pod.run.path}:{pod.kind}:kill")
        pod.event = self.clock.call_at(self.clock.now() + took, lambda: self._ended(run, pod))

    def _remove(self, pod: Pod) -> None:
        if pod.event is not None:
            pod.event.cancel()
        if pod.place is not None:
            self._leave(pod)
        elif pod.ended is None:
            self._places.forget(pod)

    # --- the persistence agent

    def _request_report(self, run: _Run, at: int) -> None:
        if run.reporting:
            return
        run.reporting = True
        lag = (
            self.profile.report_delay_seconds.draw(run.workflow.draws, f"report:{at}") + self.report_delay_us
        )
        self.clock.call_at(at + lag, lambda: self._report_due(run))

    def _report_due(self, run: _Run) -> None:
        """Give the report to the first of the agent's workers that is free."""
        if run.deleted:
            return
        now = self.clock.now()
        took = self.profile.report_seconds.draw(run.workflow.draws, f"reporting:{now}")
        worker = min(range(len(self._reporters)), key=self._reporters.__getitem__)
        done = max(now, self._reporters[worker]) + took
        self._reporters[worker] = done
        if done <= now:
            self._deliver(run, worker)
        else:
            self.clock.call_at(done, lambda: self._deliver(run, worker))

    def _deliver(self, run: _Run, worker: int) -> None:
        if run.deleted:
            return
        now = self.clock.now()
        run.reporting = False
        workflow = run.workflow
        nodes = tuple(node.report(workflow.name, workflow.created_at, now) for node in workflow.nodes)
        for execution_id, at in run.cached:
            nodes += (Node("", "", "", at, at, at, (), (), "", execution_id),)
        report = Report(
            run.request.run_id,
            workflow.phase,
            workflow.created_at,
            workflow.started_at,
            workflow.finished_at,
            nodes,
            now,
            workflow.message,
            workflow.name,
            run.request,
        )
        if workflow.finished_at is not None:
            wait = self._throttle.take(now, self.profile.final_report_calls)
            self._reporters[worker] = max(self._reporters[worker], now) + wait
            self._forget(run, nodes)
        self._tell(run, "visible", "", now)
        self._on_report(report)

    def _forget(self, run: _Run, nodes: tuple[Node, ...]) -> None:
        run.deleted = True
        self._by_workflow.pop(run.workflow, None)
        del self._runs[run.request.run_id]
        if run.passing is not None:
            run.passing.cancel()
        if run.workflow.phase in BAD:
            named = tuple(node for node in nodes if node.node_id)
            self._finished[run.request.run_id] = (run.request, run.workflow.name, named)
            if len(self._finished) > KEPT_WORKFLOWS:
                self._finished.popitem(last=False)

    # --- what workflows ask and tell (workflow.Host)

    def cached(self, workflow: Workflow, run: TaskRun) -> bool:
        """Whether a task's execution is in the cache."""
        owner = self._by_workflow[workflow]
        kept = self._cache.newest(self._fingerprint(owner, run))
        if kept is None:
            return False
        run.origin = kept
        return True

    def succeeded(self, workflow: Workflow, run: TaskRun) -> None:
        """Put a task's execution into the cache."""
        owner = self._by_workflow[workflow]
        outcome = self._outcome(owner, run) if self._outcomes else None
        outputs = outcome.outputs if outcome is not None else {}
        run.origin = (workflow.draws, run.path, outputs)
        self._cache.add(self._fingerprint(owner, run), owner.request.run_id, run.origin)
        self._executions += 1
        if self.anonymous_cache_entries:
            owner.cached.append((self._executions, workflow.now))

    def task_ended(self, workflow: Workflow, run: TaskRun) -> None:
        """Tell the truth of a task's end."""
        if self._truth is not None and run.frame.path:
            self._tell(self._by_workflow[workflow], "task_finished", run.path, workflow.now)

    def _fingerprint(self, owner: _Run, run: TaskRun) -> bytes:
        request = owner.request
        return fingerprint(
            run.plan, run.inputs, request.namespace, request.pipeline_name or request.pipeline.name
        )

    def _make(self, workflow: Workflow, run: TaskRun, key: str) -> Any:
        """Make up an output of a container: as decided, as cached, or from the seed."""
        draws, path, outputs = run.origin or (workflow.draws, run.path, None)
        if outputs is None:
            owner = self._by_workflow.get(workflow)
            outcome = self._outcome(owner, run) if owner is not None and self._outcomes else None
            outputs = outcome.outputs if outcome is not None else {}
        if key in outputs:
            return outputs[key]
        holder = run.frame.scope.owner
        component = workflow.plan.root.component if holder is None else holder.plan.component
        if key not in run.plan.component.outputs:
            return MISSING
        return make_output(workflow.plan, component, run.plan, key, draws, path)

    def _tell(self, run: _Run, what: str, task: str, at: int) -> None:
        if self._truth is not None:
            path = task.removeprefix("root").removeprefix(".")
            self._truth(TruthEvent(run.request.run_id, what, path, at))


_NOT_IN_A_NAME = re.compile(r"[^a-z0-9-]+")


def workflow_name(request: RunRequest, draws: Draws) -> str:
    """Return the Kubernetes name of a run's workflow: the pipeline's, and five random letters."""
    given = (request.pipeline_name or request.pipeline.name).rsplit("/", 1)[-1].lower()
    base = _NOT_IN_A_NAME.sub("-", given).strip("-")[:57] or "pipeline"
    letters = "".join(_SUFFIX[draws.below(f"name:{index}", len(_SUFFIX))] for index in range(5))
    return f"{base}-{letters}"


__all__ = [
    "Cluster",
    "CompileError",
    "Outcome",
    "RunRequest",
    "TruthEvent",
    "UnknownWorkflow",
    "workflow_name",
]
