"""Exit handlers, failures and retries make the nodes that they make on a real installation."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from small_pipelines import START, Draft, Simulation, find, names, phases, task

from kfp_emulator.clock import SECOND
from kfp_emulator.cluster.outcomes import Outcome
from kfp_emulator.cluster.timing import Profile, constant


def exit_pipeline(draft: Draft) -> Any:
    draft.container("work")
    draft.container("clean", inputs={"status": "TASK_FINAL_STATUS"})
    draft.dag("handled", {"work": task("work")})
    return draft.pipeline(
        {
            "exit-handler-1": task("handled"),
            "clean-up": task(
                "clean", after=["exit-handler-1"], gets={"status": ("status", "exit-handler-1")}, exit_=True
            ),
        }
    )


def test_an_exit_handler_runs_in_the_pass_in_which_its_group_ends(draft: Draft) -> None:
    simulation = Simulation(Profile(controller_requeue_seconds=constant(10)))
    report = simulation.run(exit_pipeline(draft))
    assert report.phase == "Succeeded"
    assert names(report) == Counter(
        {
            "root-driver": 1,
            "root": 1,
            "exit-handler-1-driver": 1,
            "exit-handler-1": 1,
            "work-driver": 1,
            "work": 1,
            "exit-handler-1.onExit": 1,
            "clean-up-driver": 1,
            "clean-up": 1,
            "executor": 2,
        }
    )
    ended = find(report, "exit-handler-1").finished_at
    assert ended is not None
    assert find(report, "clean-up-driver").started_at == ended
    handler = find(report, "exit-handler-1")
    assert find(report, "exit-handler-1.onExit").node_id in handler.children


def test_an_exit_handler_of_a_group_that_others_wait_for_runs_a_pass_later(draft: Draft) -> None:
    exit_pipeline(draft)
    clean_up = task(
        "clean", after=["exit-handler-1"], gets={"status": ("status", "exit-handler-1")}, exit_=True
    )
    tasks = {
        "exit-handler-1": task("handled"),
        "clean-up": clean_up,
        "more": task("work", after=["exit-handler-1"]),
    }
    report = Simulation(Profile(controller_requeue_seconds=constant(10))).run(draft.pipeline(tasks))
    ended = find(report, "exit-handler-1").finished_at
    assert ended is not None
    assert find(report, "clean-up-driver").started_at == ended + 10 * SECOND


def test_an_exit_handler_runs_after_a_failure(draft: Draft) -> None:
    simulation = Simulation()
    simulation.cluster.set_outcome(Outcome(task="work", failures=-1))
    report = simulation.run(exit_pipeline(draft))
    assert report.phase == "Failed"
    assert phases(report)["exit-handler-1"] == "Failed"
    assert phases(report)["clean-up"] == "Succeeded"


def test_an_exit_handler_runs_after_a_termination(draft: Draft) -> None:
    simulation = Simulation(Profile(executor_seconds=constant(60)))
    simulation.submit(exit_pipeline(draft))
    simulation.clock.advance(30 * SECOND)
    simulation.cluster.terminate("run")
    report = simulation.finish()
    assert report.phase == "Failed"
    assert phases(report)["work"] == "Failed"
    assert phases(report)["clean-up"] == "Succeeded"
    assert find(report, "clean-up").finished_at == START + 90 * SECOND


def test_a_failure_omits_what_waits_for_it_and_lets_other_branches_end(draft: Draft) -> None:
    draft.container("work")
    tasks = {
        "bad": task("work"),
        "behind": task("work", after=["bad"]),
        "other": task("work"),
        "behind-other": task("work", after=["other"]),
    }
    simulation = Simulation()
    simulation.cluster.set_outcome(Outcome(task="bad", failures=-1))
    found = phases(simulation.run(draft.pipeline(tasks)))
    assert [found[name] for name in ("bad", "behind-driver", "behind", "behind-other", "root")] == [
        "Failed",
        "Omitted",
        "Omitted",
        "Succeeded",
        "Failed",
    ]


def test_a_task_that_ignores_upstream_failure_runs_and_the_run_fails(draft: Draft) -> None:
    draft.container("work")
    tasks = {"fails": task("work"), "tidy": task("work", after=["fails"], exit_=True)}
    simulation = Simulation()
    simulation.cluster.set_outcome(Outcome(task="fails", failures=-1))
    report = simulation.run(draft.pipeline(tasks))
    assert report.phase == "Failed"
    assert phases(report)["tidy"] == "Succeeded"
    assert names(report)["fails.onExit"] == 1


@pytest.mark.parametrize(
    ("failures", "phase", "attempts"), [(0, "Succeeded", 1), (2, "Succeeded", 3), (9, "Failed", 4)]
)
def test_a_retry_policy(draft: Draft, failures: int, phase: str, attempts: int) -> None:
    policy = {"maxRetryCount": 3, "backoffDuration": "10s", "backoffFactor": 2, "backoffMaxDuration": "3600s"}
    pipeline = draft.pipeline({"work": task(draft.container("work"), retry=policy)})
    simulation = Simulation()
    simulation.cluster.set_outcome(Outcome(task="work", failures=failures))
    report = simulation.run(pipeline)
    assert report.phase == phase
    tries = [node for node in report.nodes if node.display_name.startswith("executor(")]
    assert [node.display_name for node in tries] == [f"executor({number})" for number in range(attempts)]
    assert find(report, "executor").phase == phase
    assert not find(report, "executor").pod_name
    assert report.finished_at == START + (0, 10, 30, 70)[attempts - 1] * SECOND


def test_a_nested_pipeline_hands_its_retry_policy_down(draft: Draft) -> None:
    draft.dag("inner", {"work": task(draft.container("work"))})
    pipeline = draft.pipeline({"group": task("inner", retry={"maxRetryCount": 1})})
    assert names(Simulation().run(pipeline))["executor(0)"] == 1
