"""Runs that are terminated, deleted, stuck or retried, and a cluster that is reset."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from small_pipelines import Draft, Simulation, find, phases, pods, task

from kfp_emulator.clock import SECOND
from kfp_emulator.cluster.cluster import UnknownWorkflow
from kfp_emulator.cluster.outcomes import Outcome
from kfp_emulator.cluster.timing import Profile, constant

if TYPE_CHECKING:
    from kfp_emulator.pipelines.ir import Pipeline
from small_clusters import SLOW, chain


def moments(pipeline: Pipeline, profile: Profile) -> int:
    simulation = Simulation(profile)
    simulation.submit(pipeline)
    return simulation.clock.run_until_idle()


def step(simulation: Simulation, count: int) -> None:
    """Let the clock run `count` events."""
    for _ in range(count):
        simulation.clock._run_next()


BUSY = replace(
    SLOW, nodes=1, pods_per_node=2, controller_pass_seconds=constant(0.1), report_seconds=constant(0.2)
)


def mixed() -> Pipeline:
    """All constructs at once."""
    draft = Draft("mixed")
    draft.container("work", inputs={"item": "STRING"}, optional=True)
    draft.dag("body", {"w": task("work", gets={"item": ("parent", "item")})}, inputs={"item": "STRING"})
    draft.dag("group", {"a": task("work"), "b": task("work", after=["a"], retry={"maxRetryCount": 2})})
    tasks = {
        "exit-handler-1": task("group"),
        "clean-up": task("work", after=["exit-handler-1"], exit_=True),
        "for-loop-1": task("body", loop={"item": '["x", "y", "z"]'}, parallelism=2),
        "after": task("work", after=["for-loop-1"]),
        "import": task(draft.importer("get")),
    }
    return draft.pipeline(tasks)


def test_terminated_at_any_moment_a_run_ends_and_leaves_nothing() -> None:
    total = moments(mixed(), BUSY)
    ended = []
    for moment in range(0, total, 3):
        simulation = Simulation(BUSY)
        simulation.submit(mixed())
        step(simulation, moment)
        if simulation.cluster.in_flight():
            simulation.cluster.terminate("run")
            simulation.cluster.terminate("run")
        report = simulation.finish()
        ended.append(report.phase)
        assert report.phase in {"Failed", "Succeeded"}
        assert not any(node.phase in {"Running", "Pending"} for node in report.nodes)
        handled = phases(report).get("exit-handler-1")
        assert (handled in {"Succeeded", "Failed"}) == ("clean-up" in phases(report))
        assert simulation.cluster.in_flight() == 0
        assert simulation.cluster.waiting_pods() == 0
        following = simulation.run(mixed(), "next")
        assert following.phase == "Succeeded"
    assert ended[0] == "Failed"
    assert ended.count("Failed") > total // 5


def test_deleted_at_any_moment_a_run_is_gone_and_leaves_its_places() -> None:
    total = moments(mixed(), BUSY)
    for moment in range(0, total + 1, 3):
        simulation = Simulation(BUSY)
        simulation.submit(mixed())
        step(simulation, moment)
        simulation.cluster.delete("run")
        reported = len(simulation.reports)
        assert simulation.cluster.in_flight() == 0
        assert simulation.cluster.waiting_pods() == 0
        simulation.clock.run_until_idle()
        assert len(simulation.reports) == reported
        assert simulation.run(mixed(), "next").phase == "Succeeded"
    simulation = Simulation()
    simulation.cluster.delete("never seen")
    simulation.cluster.terminate("never seen")


def test_a_reset_loses_everything_at_any_moment() -> None:
    total = moments(mixed(), BUSY)
    for moment in range(0, total + 1, 7):
        simulation = Simulation(BUSY)
        simulation.submit(mixed())
        simulation.submit(mixed(), "other")
        step(simulation, moment)
        simulation.cluster.reset()
        reported = len(simulation.reports)
        simulation.clock.run_until_idle()
        assert len(simulation.reports) == reported
        assert simulation.run(mixed(), "next").phase == "Succeeded"


def test_a_stuck_run_stays_until_it_is_terminated() -> None:
    simulation = Simulation(SLOW)
    simulation.cluster.set_outcome(Outcome(task="t1", stuck=True))
    simulation.submit(chain(2))
    simulation.clock.advance(86_400 * SECOND)
    assert simulation.cluster.in_flight() == 1
    assert phases(simulation.last())["executor"] == "Running"
    simulation.cluster.terminate("run")
    report = simulation.finish()
    assert report.phase == "Failed"
    assert phases(report)["t1"] == "Failed"
    assert phases(report)["t2"] == "Omitted"


def test_a_retried_pod_lists_what_followed_it_before() -> None:
    simulation = Simulation(SLOW)
    simulation.cluster.set_outcome(Outcome(task="t1", failures=-1))
    failed = find(simulation.run(chain()), "executor")
    assert failed.children
    simulation.reports.clear()
    simulation.cluster.retry("run")
    simulation.finish()
    seen = [find(report, "executor") for report in simulation.reports]
    assert seen[0].phase != "Failed"
    assert {node.children for node in seen} == {failed.children}


def test_a_retry_runs_only_what_failed_and_nodes_keep_their_ids() -> None:
    simulation = Simulation(SLOW)
    simulation.cluster.set_outcome(Outcome(task="t2", failures=-1))
    failed = simulation.run(chain())
    assert failed.phase == "Failed"
    simulation.cluster.clear_outcomes()
    simulation.clock.advance(100 * SECOND)
    executed = len([event for event in simulation.truth if event.what == "executor_start"])
    resumed_at = simulation.clock.now()
    simulation.cluster.retry("run")
    report = simulation.finish()
    assert report.phase == "Succeeded"
    assert report.workflow_name == failed.workflow_name
    again = [event.task for event in simulation.truth if event.what == "executor_start"][executed:]
    assert again == ["t2", "t3"]
    before = {node.node_id: node for node in failed.nodes}
    assert set(before) == {node.node_id for node in report.nodes if node.node_id in before}
    for name in ("root-driver", "t1-driver", "t1", "t2-driver"):
        old, new = find(failed, name), find(report, name)
        assert (old.started_at, old.finished_at, old.task_id) == (
            new.started_at,
            new.finished_at,
            new.task_id,
        )
    assert find(report, "t3").started_at is not None
    assert find(report, "t3").started_at > resumed_at  # type: ignore[operator]
    assert find(report, "t2").started_at == find(failed, "t2").started_at  # a DAG that failed is set back
    assert report.started_at == failed.started_at
    history = [phase for _, phase in find(report, "t2").history]
    assert history == ["Running", "Failed", "Running", "Succeeded"]
    first = next(each for each in simulation.reports if each.at > resumed_at)
    assert first.phase == "Running"


def test_a_retry_of_a_loop_keeps_the_iterations_that_succeeded() -> None:
    simulation = Simulation(SLOW)
    draft = Draft()
    draft.container("work", inputs={"item": "STRING"})
    draft.dag("body", {"w": task("work", gets={"item": ("parent", "item")})}, inputs={"item": "STRING"})
    pipeline = draft.pipeline({"for-loop-1": task("body", loop={"item": '["x", "y", "z"]'})})
    simulation.cluster.set_outcome(Outcome(task="w", failures=-1, seconds=1, run_id="run"))
    assert simulation.run(pipeline).phase == "Failed"
    simulation.cluster.clear_outcomes()
    simulation.cluster.retry("run")
    report = simulation.finish()
    assert report.phase == "Succeeded"
    assert pods(report) == 1 + 1 + 3 * 3


def test_a_retry_after_a_restart_is_given_what_was_reported() -> None:
    before = Simulation(SLOW)
    before.cluster.set_outcome(Outcome(task="t3", failures=-1))
    failed = before.run(chain())
    after = Simulation(SLOW)
    with pytest.raises(UnknownWorkflow):
        after.cluster.retry("run")
    assert failed.request is not None
    after.cluster.retry("run", request=failed.request, name=failed.workflow_name, nodes=failed.nodes)
    report = after.finish()
    assert report.phase == "Succeeded"
    assert [event.task for event in after.truth if event.what == "executor_start"] == ["t3"]


def test_a_retry_keeps_the_tries_of_what_succeeded() -> None:
    draft = Draft()
    draft.container("work")
    policy = {"maxRetryCount": 3}
    pipeline = draft.pipeline({"shaky": task("work", retry=policy), "last": task("work", after=["shaky"])})
    simulation = Simulation(SLOW)
    simulation.cluster.set_outcome(Outcome(task="last", failures=-1))
    simulation.cluster.set_outcome(Outcome(task="shaky", failures=2))
    failed = simulation.run(pipeline)
    assert failed.phase == "Failed"
    simulation.cluster.clear_outcomes()
    simulation.cluster.retry("run")
    report = simulation.finish()
    assert report.phase == "Succeeded"
    for number in range(3):
        assert find(report, f"executor({number})") == find(failed, f"executor({number})")
