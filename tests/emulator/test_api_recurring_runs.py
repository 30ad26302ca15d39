from __future__ import annotations

import json
from typing import Any

import pytest
from manual_emulator import Manual

from kfp_emulator.clock import SECOND
from kfp_emulator.cluster.outcomes import Outcome


@pytest.fixture
def manual() -> Any:
    return Manual()


def test_a_recurring_run_as_it_is_shown(api: Any, small: Any) -> None:
    trigger = {"cron_schedule": {"cron": "0 0 3 * * *", "start_time": "2030-01-01T00:00:00Z"}}
    body = {
        "display_name": "n",
        "max_concurrency": "3",
        "pipeline_spec": small,
        "trigger": trigger,
        "no_catchup": True,
    }
    made = api.post("recurringruns", body)
    assert made["mode"] == "DISABLE"  # an absent mode
    assert made["status"] == "DISABLED"
    assert made["max_concurrency"] == "3"
    assert made["trigger"] == trigger
    assert made["no_catchup"] is True
    assert made["pipeline_spec"] == small
    assert made["namespace"] == "kubeflow"
    path = f"recurringruns/{made['recurring_run_id']}"
    assert api.get(path) == made
    assert made in api.get("recurringruns")["recurringRuns"]  # the one list key in camelCase
    assert api.post(f"{path}:enable") == {}
    assert api.get(path)["mode"] == "ENABLE"
    assert api.post(f"{path}:disable") == {}
    assert api.get(path)["status"] == "DISABLED"
    assert api.delete(path) == {}
    for method, tail in (("GET", ""), ("DELETE", ""), ("POST", ":enable"), ("POST", ":disable")):
        reply = api.call(method, path + tail)
        assert reply.status == 404
        assert reply.json["details"][0]["message"] == f"Job {made['recurring_run_id']} not found"


def test_periodic_schedules_and_none(api: Any, small: Any) -> None:
    body = {"display_name": "p", "max_concurrency": 1, "pipeline_spec": small}
    trigger = {"periodic_schedule": {"interval_second": "60"}}
    assert api.post("recurringruns", body | {"trigger": trigger})["trigger"] == trigger
    assert api.post("recurringruns", body)["trigger"] == {}


@pytest.mark.parametrize(
    ("changes", "status", "text"),
    [
        ({"display_name": ""}, 500, "Recurring run's name cannot be empty"),
        ({"max_concurrency": 0}, 400, "at least 1 and at most 10. Received 0"),
        ({"max_concurrency": 11}, 400, "at least 1 and at most 10. Received 11"),
        (
            {"trigger": {"cron_schedule": {"cron": "every day"}}},
            400,
            "Schedule cron is not a supported format(",
        ),
        (
            {"trigger": {"periodic_schedule": {"interval_second": 0}}},
            400,
            "Found invalid period schedule interval 0",
        ),
        ({"trigger": {"cron_schedule": {}, "periodic_schedule": {}}}, 400, "oneof"),
        ({"pipeline_spec": {"a": 1}}, 500, "invalid pipeline spec manifest"),
        ({"pipeline_spec": None}, 500, "empty pipeline ID"),
        ({"experiment_id": "none"}, 404, "Experiment none not found"),
        ({"runtime_config": {"parameters": {"nope": 1}}}, 400, "not required by pipeline: nope"),
    ],
)
def test_what_is_refused(api: Any, small: Any, changes: Any, status: Any, text: Any) -> None:
    body = {"display_name": "r", "max_concurrency": 1, "pipeline_spec": small} | changes
    reply = api.call("POST", "recurringruns", body)
    assert reply.status == status
    assert text in reply.json["message"]


def test_five_fields_begin_with_the_seconds(manual: Any, small: Any) -> None:
    """`*/20 * * * *` is every twenty seconds on KFP, not every twenty minutes."""
    manual.schedule(small, {"cron_schedule": {"cron": "*/20 * * * *"}})
    manual.clock.advance(61 * SECOND)
    runs = manual.runs()
    assert [run["scheduled_at"] for run in runs] == [
        "2026-01-05T12:00:40Z",
        "2026-01-05T12:01:00Z",
        "2026-01-05T12:01:20Z",
    ]


def test_runs_of_a_pinned_schedule_appear_with_their_first_report(small: Any) -> None:
    manual = Manual("kfp-2.17")
    made = manual.schedule(small, {"periodic_schedule": {"interval_second": "3600"}})
    while manual.backend.cluster.in_flight() == 0:
        manual.clock.advance(SECOND)
    assert manual.runs() == []
    while not manual.runs():
        manual.clock.advance(SECOND)
    run = manual.runs()[0]
    assert run["recurring_run_id"] == made["recurring_run_id"]
    assert run["scheduled_at"] == "2026-01-05T13:00:30Z"
    assert run["created_at"] > run["scheduled_at"]
    name, index, digest = run["display_name"].rsplit("-", 2)
    assert name.startswith("mynightlyjob")
    assert len(name) == len("mynightlyjob") + 5
    assert index == "1"
    assert digest.isdigit()
    manual.clock.advance(1800 * SECOND)
    assert manual.runs()[0]["state"] == "SUCCEEDED"


def test_a_schedule_with_a_pipeline_alone_takes_the_newest_version(start: Any) -> None:
    api = start()
    pipeline = api.upload(name="scheduled").json["pipeline_id"]
    body = {
        "display_name": "newest",
        "max_concurrency": 1,
        "mode": "ENABLE",
        "pipeline_version_reference": {"pipeline_id": pipeline},
        "trigger": {"periodic_schedule": {"interval_second": 1}},
    }
    made = api.post("recurringruns", body)
    assert made["pipeline_version_reference"] == {"pipeline_id": pipeline}
    follower = iter(range(100_000))
    while not (runs := api.get("runs").get("runs")):
        next(follower)
    version = api.get(f"pipelines/{pipeline}/versions")["pipeline_versions"][0]["pipeline_version_id"]
    assert runs[0]["pipeline_version_reference"]["pipeline_version_id"] == version
    assert runs[0]["state_history"][0]["state"] == "PENDING"
    assert runs[0]["recurring_run_id"] == made["recurring_run_id"]


def test_disabling_and_archiving_stop_a_schedule(manual: Any, small: Any) -> None:
    made = manual.schedule(small, {"periodic_schedule": {"interval_second": "60"}})
    manual.clock.advance(130 * SECOND)
    assert len(manual.runs()) == 2
    manual.good("POST", f"recurringruns/{made['recurring_run_id']}:disable")
    manual.clock.advance(3600 * SECOND)
    assert len(manual.runs()) == 2
    experiment = manual.good("POST", "experiments", {"display_name": "e"})["experiment_id"]
    made = manual.schedule(small, {"periodic_schedule": {"interval_second": "60"}}, experiment_id=experiment)
    manual.good("POST", f"experiments/{experiment}:archive")
    assert manual.good("GET", f"recurringruns/{made['recurring_run_id']}")["mode"] == "DISABLE"


def test_no_trigger_runs_once_at_once(manual: Any, small: Any) -> None:
    manual.schedule(small)
    manual.clock.advance(3600 * SECOND)
    assert len(manual.runs()) == 1


def test_max_concurrency_holds_runs_back_and_deleting_frees(manual: Any, small: Any) -> None:
    manual.backend.cluster.set_outcome(Outcome(stuck=True))
    manual.schedule(small, {"periodic_schedule": {"interval_second": "10"}}, max_concurrency=1)
    manual.clock.advance(100 * SECOND)
    assert len(manual.runs()) == 1
    manual.good("DELETE", f"runs/{manual.runs()[0]['run_id']}")
    manual.clock.advance(10 * SECOND)
    assert len(manual.runs()) == 1


def test_a_kept_store_goes_on_with_its_schedules(small: Any, tmp_path: Any) -> None:
    store = tmp_path / "kept.db"
    manual = Manual("kfp-2.17", store=store)
    manual.schedule(small, {"periodic_schedule": {"interval_second": "60"}}, no_catchup=True)
    while manual.backend.cluster.in_flight() == 0:
        manual.clock.advance(SECOND)
    at = manual.clock.now()
    assert manual.runs() == []  # submitted, and not reported yet
    manual.backend.close()
    again = Manual("kfp-2.17", store=store)
    again.clock.advance_to(at + 900 * SECOND)
    names = [run["display_name"] for run in again.runs()]
    indices = sorted(int(name.rsplit("-", 2)[1]) for name in names)
    assert indices == list(range(1, len(names) + 1))
    assert len(names) > 3


def test_a_retry_after_a_restart_runs_only_what_failed(small: Any, tmp_path: Any) -> None:
    """The nodes of a failed run are kept, so that another process can retry it as the first would have."""
    task = json.loads(json.dumps(small["root"]["dag"]["tasks"]["say"]))
    small["root"]["dag"]["tasks"]["then"] = {**task, "taskInfo": {"name": "then"}, "dependentTasks": ["say"]}
    store = tmp_path / "kept.db"
    manual = Manual(store=store)
    manual.backend.cluster.set_outcome(Outcome(task="then", failures=-1))
    run = manual.good("POST", "runs", {"display_name": "r", "pipeline_spec": small})["run_id"]
    manual.clock.advance(SECOND)
    failed = manual.good("GET", f"runs/{run}")
    assert failed["state"] == "FAILED"
    manual.backend.close()
    again = Manual(store=store)
    again.clock.advance(3600 * SECOND)
    again.good("POST", f"runs/{run}:retry")
    again.clock.advance(SECOND)
    ended = again.good("GET", f"runs/{run}")
    assert ended["state"] == "SUCCEEDED"
    before, after = (
        {task["display_name"]: task for task in each["run_details"]["task_details"]}
        for each in (failed, ended)
    )
    assert after["say"] == before["say"]
    assert after["then"]["task_id"] == before["then"]["task_id"]
    assert after["then"]["end_time"] > before["then"]["end_time"]
