"""Lives of runs that a real KFP 2.17.0 was seen to lead: what shows when, and what hangs on what."""

from __future__ import annotations

import json
from typing import Any

import pytest
from manual_emulator import Manual
from small_pipelines import Draft, Simulation, find, task

from kfp_emulator.clock import SECOND, ManualClock
from kfp_emulator.cluster.nodes import ERROR, FAILED, OMITTED, PENDING, RUNNING, SUCCEEDED
from kfp_emulator.cluster.outcomes import Outcome
from kfp_emulator.cluster.timing import Profile, constant, load_profile
from kfp_emulator.options import Options, build

LOOKS = Profile(
    controller_requeue_seconds=constant(10),
    driver_seconds=constant(2),
    executor_seconds=constant(4),
    report_delay_seconds=constant(1),
)


def _sequence(draft: Draft) -> Any:
    draft.container("say")
    return draft.pipeline({"one": task("say"), "two": task("say", after=["one"])})


def _run(manual: Manual, small: Any) -> str:
    run_id: str = manual.good("POST", "runs", {"display_name": "r", "pipeline_spec": small})["run_id"]
    return run_id


def test_the_final_state_is_visible_before_the_final_tasks(small: Any) -> None:
    manual = Manual("kfp-2.17", seed=3)
    run_id = _run(manual, small)
    while manual.good("GET", f"runs/{run_id}")["state"] != "SUCCEEDED":
        manual.clock.advance(SECOND // 100)
    stale = manual.good("GET", f"runs/{run_id}")["run_details"]["task_details"]
    assert "RUNNING" in {each["state"] for each in stale}
    events = manual.backend.truth.read(0, 10**6, run_id)[1]
    assert [each["what"] for each in events][-1] == "visible"
    manual.clock.advance(SECOND)
    tasks = manual.good("GET", f"runs/{run_id}")["run_details"]["task_details"]
    assert {each["state"] for each in tasks} == {"SUCCEEDED"}
    last = manual.backend.truth.read(0, 10**6, run_id)[1][-1]
    assert last["what"] == "tasks_visible"
    assert 0.05 < (last["at_us"] - events[-1]["at_us"]) / SECOND < 0.4


def test_the_first_report_shows_a_run_without_tasks(small: Any) -> None:
    manual = Manual("kfp-2.17")
    run_id = _run(manual, small)
    while manual.good("GET", f"runs/{run_id}")["state"] == "PENDING":
        manual.clock.advance(SECOND // 100)
    assert "run_details" not in manual.good("GET", f"runs/{run_id}")


def test_tasks_that_were_due_when_the_server_ended_are_written_after_it(small: Any, tmp_path: Any) -> None:
    manual = Manual("kfp-2.17", store=tmp_path / "kept.db")
    run_id = _run(manual, small)
    while manual.good("GET", f"runs/{run_id}")["state"] != "SUCCEEDED":
        manual.clock.advance(SECOND // 100)
    history = manual.good("GET", f"runs/{run_id}")["state_history"]
    manual.backend.close()
    clock = ManualClock(manual.clock.now())
    backend = build(Options(load_profile("instant"), store=tmp_path / "kept.db"), clock)
    clock.advance(60 * SECOND)
    run = json.loads(backend.runs.body(run_id) or b"")
    assert {each["state"] for each in run["run_details"]["task_details"]} == {"SUCCEEDED"}
    assert run["state_history"] == history
    backend.close()


@pytest.mark.parametrize(("version", "entries"), [("2.17.0", 12), ("2.16.1", 6), ("2.5.0", 6), ("v2.18", 12)])
def test_nodes_come_twice_from_2_17_on(version: Any, entries: Any, small: Any) -> None:
    manual = Manual(version=version)
    run_id = _run(manual, small)
    manual.clock.advance(SECOND)
    assert len(manual.good("GET", f"runs/{run_id}")["run_details"]["task_details"]) == entries


def test_a_terminated_run_takes_one_look_more_where_a_driver_had_ended(draft: Draft) -> None:
    simulation = Simulation(LOOKS, doubled_retry_nodes=True)
    simulation.submit(_sequence(draft))
    simulation.clock.advance(3 * SECOND)
    simulation.cluster.terminate("run")
    simulation.clock.advance(8 * SECOND)
    assert find(simulation.last(), "one-driver(0)").phase == PENDING  # and no pod will ever be there
    last = simulation.finish()
    assert last.finished_at is not None
    assert (last.finished_at - last.created_at) / SECOND == 20
    assert find(last, "one-driver(0)").phase == FAILED
    assert find(last, "one").phase == find(last, "two").phase == OMITTED


def test_terminated_in_an_executor_it_takes_no_look_more(draft: Draft) -> None:
    simulation = Simulation(LOOKS, doubled_retry_nodes=True)
    simulation.submit(_sequence(draft))
    simulation.clock.advance(21 * SECOND)
    simulation.cluster.terminate("run")
    last = simulation.finish()
    assert last.finished_at is not None
    assert (last.finished_at - last.created_at) / SECOND < 41
    assert last.phase == FAILED


def test_canceling_is_in_the_history_a_second_later(small: Any) -> None:
    manual = Manual("kfp-2.17")
    run_id = _run(manual, small)
    manual.clock.advance(4 * SECOND)
    manual.good("POST", f"runs/{run_id}:terminate")
    assert [each["state"] for each in manual.good("GET", f"runs/{run_id}")["state_history"]] == [
        "PENDING",
        "RUNNING",
    ]
    manual.clock.advance(120 * SECOND)
    run = manual.good("GET", f"runs/{run_id}")
    assert [each["state"] for each in run["state_history"]] == ["PENDING", "RUNNING", "CANCELING", "FAILED"]


def test_what_follows_a_task_hangs_on_its_last_try(draft: Draft) -> None:
    last = Simulation(doubled_retry_nodes=True).run(_sequence(draft))
    ids = {node.node_id: node.display_name for node in last.nodes}
    first = find(last, "one(0)")
    assert sorted(ids[child] for child in first.children) == ["executor", "two-driver"]
    executors = [node for node in last.nodes if node.display_name == "executor(0)"]
    assert [node.children for node in executors] == [(), ()]


def test_the_default_strategy_leaves_retries_to_errors(draft: Draft) -> None:
    """Its policy OnError is merged into the limit that a task sets, so that a failed executor stays failed."""
    draft.container("flaky")
    pipeline = draft.pipeline({"flaky": task("flaky", retry={"maxRetryCount": 5, "backoffDuration": "0s"})})
    for phase, error, ended in ((FAILED, False, FAILED), (ERROR, True, SUCCEEDED)):
        simulation = Simulation(doubled_retry_nodes=True)
        simulation.cluster.set_outcome(Outcome(failures=1, error=error))
        last = simulation.run(pipeline)
        assert (find(last, "executor(0)").phase, last.phase) == (phase, ended)


def test_entries_of_an_earlier_attempt_stay_until_their_nodes_are_made_again(small: Any) -> None:
    manual = Manual("kfp-2.17", seed=5)
    manual.backend.cluster.set_outcome(Outcome(failures=-1))
    small["root"]["dag"]["tasks"]["then"] = {
        "taskInfo": {"name": "then"},
        "componentRef": {"name": "comp-say"},
        "dependentTasks": ["say"],
    }
    run_id = _run(manual, small)
    manual.clock.advance(600 * SECOND)
    before = {
        each["display_name"] for each in manual.good("GET", f"runs/{run_id}")["run_details"]["task_details"]
    }
    assert {"then", "then-driver"} <= before
    manual.good("POST", f"runs/{run_id}:retry")
    manual.clock.advance(2 * SECOND)
    run = manual.good("GET", f"runs/{run_id}")
    assert run["state"] == "RUNNING"
    assert before <= {each["display_name"] for each in run["run_details"]["task_details"]}


def test_a_node_around_tries_is_set_back_by_a_retry(draft: Draft) -> None:
    simulation = Simulation(LOOKS, doubled_retry_nodes=True)
    simulation.cluster.set_outcome(Outcome(failures=-1))
    failed = simulation.run(_sequence(draft))
    simulation.cluster.clear_outcomes()
    simulation.clock.advance(100 * SECOND)
    simulation.cluster.retry("run")
    simulation.clock.advance(2 * SECOND)
    again = simulation.last()
    assert find(again, "root").phase == find(again, "root(0)").phase == RUNNING
    assert find(again, "root(0)").started_at == find(failed, "root(0)").started_at
    assert find(again, "root").started_at == simulation.clock.now() - 2 * SECOND


def test_the_mlflow_plugin_of_a_default_installation_fails(small: Any) -> None:
    manual = Manual()
    run_id = _run(manual, small)
    begun = manual.good("GET", f"runs/{run_id}")["plugins_output"]["mlflow"]
    assert begun["state"] == "PLUGIN_FAILED"
    assert "ca.crt" in begun["state_message"]
    manual.clock.advance(SECOND)
    ended = manual.good("GET", f"runs/{run_id}")["plugins_output"]["mlflow"]
    assert ended["state_message"].startswith("MLflow terminal sync skipped")
    old = Manual(version="2.16.0")
    assert "plugins_output" not in old.good("GET", f"runs/{_run(old, small)}")


def test_reports_of_a_schedule_move_its_updated_at(small: Any) -> None:
    manual = Manual("kfp-2.17")
    made = manual.schedule(small, {"periodic_schedule": {"interval_second": "20"}})
    manual.clock.advance(60 * SECOND)
    now = manual.good("GET", f"recurringruns/{made['recurring_run_id']}")
    assert now["updated_at"] > made["updated_at"] == made["created_at"]
    assert "service_account" not in manual.runs()[0]
