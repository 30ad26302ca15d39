from __future__ import annotations

import json
from typing import Any

import pytest


def test_a_run_goes_to_its_end(api: Any, small: Any) -> None:
    made = api.run("first", runtime_config={"parameters": {"word": "hey"}}, description="d")
    assert made["state"] == "PENDING"
    assert made["state_history"] == [{"update_time": made["created_at"], "state": "PENDING"}]
    assert made["scheduled_at"] == made["created_at"]
    assert made["finished_at"] == "1970-01-01T00:00:00Z"
    assert made["service_account"] == "pipeline-runner"
    assert made["runtime_config"] == {"parameters": {"word": "hey"}}
    assert made["pipeline_spec"] == small
    assert "run_details" not in made
    assert "error" not in made
    run = api.wait(made["run_id"])
    assert run["state"] == "SUCCEEDED"
    assert run["finished_at"] >= run["created_at"]
    assert [entry.get("state") for entry in run["state_history"]][-1] == "SUCCEEDED"
    details = run["run_details"]["task_details"]
    names = sorted(task["display_name"] for task in details)
    nodes = ("executor", "root", "root-driver", "say", "say-driver")
    assert [name for name in names if not name.startswith("small-")] == sorted(
        each for name in nodes for each in (name, f"{name}(0)")
    )
    assert {task["state"] for task in details} == {"SUCCEEDED"}
    ids = [task["task_id"] for task in details]
    assert ids == sorted(set(ids))  # the database returns them by their ids, which are random
    assert len(ids) == 12
    assert all(task["run_id"] == run["run_id"] for task in details)
    assert not any("pod_name" in task or "parent_task_id" in task for task in details)
    listed = next(each for each in api.get("runs", page_size=200)["runs"] if each["run_id"] == run["run_id"])
    assert listed == run


def test_a_reference_without_a_version_takes_the_newest(api: Any) -> None:
    pipeline = api.upload(name="referred").json["pipeline_id"]
    newest = api.upload(path="pipelines/upload_version", name="zz", pipelineid=pipeline).json
    run = api.run("ref", pipeline_version_reference={"pipeline_id": pipeline})
    versions = api.get(f"pipelines/{pipeline}/versions", sort_by="created_at desc")["pipeline_versions"]
    assert newest["pipeline_version_id"] in {each["pipeline_version_id"] for each in versions}
    assert run["pipeline_version_reference"] == {
        "pipeline_id": pipeline,
        "pipeline_version_id": versions[0]["pipeline_version_id"],
    }
    assert "pipeline_spec" not in run
    assert "runtime_config" not in run


@pytest.mark.parametrize(
    ("body", "status", "short", "chain"),
    [
        ({}, 500, "Internal Server Error", "Run name cannot be empty"),
        ({"display_name": "x"}, 500, "Internal Server Error", "an empty pipeline spec manifest"),
        (
            {"display_name": "x", "pipeline_spec": {"a": 1}},
            500,
            "Internal Server Error",
            "unknown template format",
        ),
        (
            {"display_name": "x", "pipeline_version_reference": {"pipeline_version_id": "none"}},
            500,
            "Internal Server Error",
            "PipelineVersion none not found",
        ),
        (
            {"display_name": "x", "pipeline_version_reference": {"pipeline_id": "none"}},
            500,
            "Internal Server Error",
            "Pipeline none not found",
        ),
        (
            {"display_name": "x", "experiment_id": "none"},
            404,
            "Experiment none not found",
            "Failed to create a new run",
        ),
        (
            {"display_name": "x", "run_id": "y" * 192},
            500,
            "Internal Server Error",
            "length cannot exceed 191",
        ),
        ({"display_name": "x", "plugins_output": {}}, 409, None, "plugins_output must not be set"),
    ],
)
def test_what_create_run_refuses(api: Any, body: Any, status: Any, short: Any, chain: Any) -> None:
    reply = api.call("POST", "runs", body)
    assert reply.status == status
    if short is not None:
        assert reply.json["details"][0]["message"] == short
    assert chain in reply.json["message"]


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        (
            {"word": 5},
            "input parameter word requires type string, but the input parameter is not of string value type",
        ),
        ({"nope": 1}, "parameter(s) provided are not required by pipeline: nope"),
    ],
)
def test_wrong_parameters_are_400(api: Any, small: Any, parameters: Any, text: Any) -> None:
    body = {"display_name": "x", "pipeline_spec": small, "runtime_config": {"parameters": parameters}}
    reply = api.call("POST", "runs", body)
    assert reply.status == 400
    assert reply.json["details"][0]["message"] == text


def test_a_missing_parameter(api: Any, small: Any) -> None:
    small["root"]["inputDefinitions"]["parameters"]["word"] = {"parameterType": "STRING"}
    reply = api.call("POST", "runs", {"display_name": "x", "pipeline_spec": small})
    assert reply.json["details"][0]["message"] == (
        "parameter word is not optional, yet has neither default value nor user provided value"
    )


def test_a_client_may_choose_the_id_once(api: Any) -> None:
    assert api.run("chosen", run_id="my-own-id")["run_id"] == "my-own-id"
    reply = api.call("POST", "runs", {"display_name": "again", "run_id": "my-own-id", "pipeline_spec": {}})
    assert reply.status == 500


def test_names_need_not_be_unique(api: Any) -> None:
    assert api.run("same")["run_id"] != api.run("same")["run_id"]


def test_unknown_runs(api: Any) -> None:
    for method, path in (
        ("GET", "runs/none"),
        ("DELETE", "runs/none"),
        ("POST", "runs/none:archive"),
        ("POST", "runs/none:unarchive"),
        ("POST", "runs/none:terminate"),
        ("POST", "runs/none:retry"),
    ):
        reply = api.call(method, path)
        assert reply.status == 404
        assert reply.json["details"][0]["message"] == "Run none not found"


def test_terminate_cancels_at_once_and_ends_failed(start: Any) -> None:
    api = start("fast")
    api.post("/emulator/v1/outcomes", [{"task": "say", "stuck": True}])
    run = api.run("stopped")["run_id"]
    api.wait(run, "RUNNING")
    assert api.post(f"runs/{run}:terminate") == {}
    assert api.get(f"runs/{run}")["state"] == "CANCELING"
    ended = api.wait(run, "FAILED")
    states = [entry.get("state") for entry in ended["state_history"]]
    assert states[-1] == "FAILED"
    assert "CANCELED" not in states
    reply = api.call("POST", f"runs/{run}:terminate")
    assert reply.status == 400
    assert reply.json["details"][0]["message"] == f"Failed to terminate a run {run}. Row not found"


def test_retry_runs_again_what_failed(start: Any) -> None:
    api = start("fast")
    api.post("/emulator/v1/outcomes", [{"task": "say", "failures": -1}])
    run = api.run("flaky")["run_id"]
    failed = api.wait(run, "FAILED")
    assert "error" not in failed
    api.delete("/emulator/v1/outcomes")
    assert api.post(f"runs/{run}:retry") == {}
    again = api.get(f"runs/{run}")
    assert again["state"] in {"RUNNING", "SUCCEEDED"}
    ended = api.wait(run, "SUCCEEDED")
    states = [entry.get("state") for entry in ended["state_history"]]
    assert states.index("FAILED") < len(states) - 1 == states.index("SUCCEEDED")
    reply = api.call("POST", f"runs/{run}:retry")
    assert reply.status == 409
    assert reply.json["code"] == 10


def test_retry_before_the_first_report_is_409(start: Any) -> None:
    api = start("kfp-2.17")
    run = api.run("young")["run_id"]
    assert api.call("POST", f"runs/{run}:retry").status == 409


def test_delete_in_every_state(start: Any) -> None:
    api = start("fast")
    young = api.run("young")["run_id"]
    old = api.run("old")["run_id"]
    api.wait(old)
    for run in (young, old):
        assert api.delete(f"runs/{run}") == {}
        assert api.call("GET", f"runs/{run}").status == 404
    assert "runs" not in api.get("runs")


def test_lists_of_an_experiment(api: Any) -> None:
    made = api.post("experiments", {"display_name": "scoped"})["experiment_id"]
    mine = [api.run(f"s{n}", experiment_id=made)["run_id"] for n in range(3)]
    listed = api.get("runs", experiment_id=made)
    assert sorted(run["run_id"] for run in listed["runs"]) == sorted(mine)
    assert listed["total_size"] == 3
    assert (
        api.get(
            "runs",
            experiment_id=made,
            filter=json.dumps(
                {"predicates": [{"operation": "IS_SUBSTRING", "key": "name", "stringValue": "s1"}]}
            ),
        )["total_size"]
        == 1
    )


def test_artifacts_and_logs_of_nodes(api: Any) -> None:
    run = api.wait(api.run("logged")["run_id"])
    node = next(
        child["pod_name"]
        for task in run["run_details"]["task_details"]
        for child in task.get("child_tasks", [])
    )
    path = f"runs/{run['run_id']}/nodes"
    assert set(api.get(f"{path}/{node}/artifacts/main-logs:read")) == {"data"}
    assert api.call("GET", f"{path}/none/artifacts/x:read").status == 404
    assert api.call("GET", f"/apis/v1alpha1/{path}/{node}/log").status == 200
    missing = api.call("GET", f"/apis/v1alpha1/{path}/none/log")
    assert missing.status == 200  # the real server writes the status before it looks
    assert "error_message" in missing.json
