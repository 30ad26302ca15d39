"""What any client relies on, by plain HTTP: true of the emulator and of the real server alike."""

from __future__ import annotations

import re
from typing import Any

import pytest

pytestmark = pytest.mark.contract

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
FINAL = {"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"}
EXIT = {"triggerPolicy": {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}}
WORD = {"runtime_config": {"parameters": {"word": "hi"}}}


def test_healthz(api: Any) -> None:
    assert {"multi_user", "tag_name", "commit_sha"} <= set(api.good("GET", "healthz"))


def test_experiment_life(api: Any, name: Any) -> None:
    made = api.good("POST", "experiments", {"display_name": name, "description": "d"})
    path = f"experiments/{made['experiment_id']}"
    assert made["storage_state"] == "AVAILABLE"
    assert made["last_run_created_at"] == "1970-01-01T00:00:00Z"
    assert TIME.fullmatch(made["created_at"])
    assert api.good("GET", path) == made
    assert api.call("POST", "experiments", {"display_name": name})[0] == 409
    assert api.good("POST", f"{path}:archive") == {}
    assert api.good("GET", path)["storage_state"] == "ARCHIVED"
    assert api.good("POST", f"{path}:unarchive") == {}
    assert api.good("DELETE", path) == {}
    status, error = api.call("GET", path)
    assert status == 404
    assert error["code"] == 5
    assert error["details"][0]["message"] == f"Experiment {made['experiment_id']} not found"


def test_upload_and_versions(api: Any, name: Any, pipeline: Any) -> None:
    path = f"pipelines/{pipeline['pipeline_id']}"
    assert pipeline["display_name"] == name
    version = api.upload("pipelines/upload_version", name=f"{name}-2", pipelineid=pipeline["pipeline_id"])
    listed = api.good("GET", f"{path}/versions")
    assert listed["total_size"] == 2
    assert api.good("GET", f"{path}/versions/{version['pipeline_version_id']}") == version
    assert version["pipeline_spec"]["pipelineInfo"]["name"] == "contract"
    assert api.call("DELETE", path)[0] == 400
    assert api.good("DELETE", f"{path}/versions/{version['pipeline_version_id']}") == {}
    status, error = api.call("GET", f"{path}/versions/{version['pipeline_version_id']}")
    assert status == 404
    assert error["details"][0]["message"] == f"PipelineVersion {version['pipeline_version_id']} not found"


def _with_its_last_tasks(run: Any) -> bool:
    """Whether a run has ended and shows so in its tasks, which are written after it."""
    tasks = run.get("run_details", {}).get("task_details", [])
    ended = bool(tasks) and not any(task.get("state") in {"PENDING", "RUNNING"} for task in tasks)
    return run.get("state") in FINAL and ended


def test_run_life(api: Any, name: Any, pipeline: Any, experiment: Any) -> None:
    body = {
        "display_name": name,
        "experiment_id": experiment,
        "pipeline_version_reference": {"pipeline_id": pipeline["pipeline_id"]},
        **WORD,
    }
    made = api.good("POST", "runs", body)
    path = f"runs/{made['run_id']}"
    assert made["state"] == "PENDING"
    assert made["finished_at"] == "1970-01-01T00:00:00Z"
    assert made["pipeline_version_reference"]["pipeline_version_id"]
    run = api.until(lambda: api.good("GET", path), _with_its_last_tasks)
    assert run["state"] == "SUCCEEDED"
    assert TIME.fullmatch(run["finished_at"])
    assert run["finished_at"] >= run["created_at"]
    assert run["state_history"][-1]["state"] == "SUCCEEDED"
    names = {task.get("display_name") for task in run["run_details"]["task_details"]}
    assert {"root-driver", "root", "say-driver", "say"} <= names
    listed = api.good("GET", "runs", experiment_id=experiment)
    assert listed["runs"] == [run]
    assert api.call("POST", f"{path}:terminate")[0] == 400
    assert api.call("POST", f"{path}:retry")[0] == 409
    assert api.good("POST", f"{path}:archive") == {}
    assert api.good("GET", path)["storage_state"] == "ARCHIVED"
    assert api.good("POST", f"{path}:unarchive") == {}
    assert api.good("DELETE", path) == {}
    status, error = api.call("GET", path)
    assert status == 404
    assert error["details"][0]["message"] == f"Run {made['run_id']} not found"


def test_terminate(api: Any, name: Any, spec: Any, experiment: Any) -> None:
    spec["deploymentSpec"]["executors"]["exec-say"]["container"]["command"] = ["sleep", "3600"]
    body = {"display_name": name, "experiment_id": experiment, "pipeline_spec": spec, **WORD}
    path = f"runs/{api.good('POST', 'runs', body)['run_id']}"
    assert api.good("POST", f"{path}:terminate") == {}
    assert api.good("GET", path)["state"] == "CANCELING"
    ended = api.until(lambda: api.good("GET", path), lambda found: found.get("state") in FINAL)
    assert ended["state"] == "FAILED"
    api.good("DELETE", path)


def test_pages(api: Any, name: Any, spec: Any, experiment: Any) -> None:
    body = {"experiment_id": experiment, "pipeline_spec": spec, **WORD}
    made = {api.good("POST", "runs", {"display_name": f"{name}-{n}", **body})["run_id"] for n in range(3)}
    first = api.good("GET", "runs", experiment_id=experiment, page_size=2, sort_by="created_at desc")
    assert len(first["runs"]) == 2
    assert first["total_size"] == 3
    token = first["next_page_token"]
    second = api.good("GET", "runs", experiment_id=experiment, page_size=2, page_token=token)
    assert {run["run_id"] for run in first["runs"] + second["runs"]} == made
    assert "next_page_token" not in second
    for run_id in made:
        api.good("DELETE", f"runs/{run_id}")


@pytest.mark.parametrize(
    ("method", "path", "body", "query", "status"),
    [
        ("GET", "nothing", None, {}, 404),
        ("PUT", "runs", None, {}, 501),
        ("POST", "runs", {"colour": 1}, {}, 400),
        ("POST", "runs", {}, {}, 500),
        ("POST", "runs", {"display_name": "x"}, {}, 500),
        ("POST", "experiments", {}, {}, 500),
        ("GET", "runs", None, {"page_size": -1}, 400),
        ("GET", "runs", None, {"page_token": "nonsense"}, 400),
        ("GET", "runs", None, {"sort_by": "colour"}, 400),
        ("GET", "runs", None, {"filter": "nonsense"}, 400),
        ("GET", "recurringruns/none", None, {}, 404),
        ("POST", "recurringruns", {"display_name": "x"}, {}, 400),
    ],
)
def test_what_is_refused(api: Any, method: Any, path: Any, body: Any, query: Any, status: Any) -> None:
    assert api.call(method, path, body, **query)[0] == status


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({}, "parameter word is not optional, yet has neither default value nor user provided value"),
        ({"word": 1}, "input parameter word requires type string"),
        ({"word": "x", "more": 1}, "parameter(s) provided are not required by pipeline: more"),
    ],
)
def test_parameters_are_checked(
    api: Any, name: Any, spec: Any, experiment: Any, parameters: Any, text: Any
) -> None:
    body = {"display_name": name, "experiment_id": experiment, "pipeline_spec": spec}
    status, error = api.call("POST", "runs", body | {"runtime_config": {"parameters": parameters}})
    assert status == 400
    assert text in error["details"][0]["message"]


@pytest.mark.parametrize(
    ("tasks", "text"),
    [
        ({"say": {"dependentTasks": ["none"]}}, "sorting failed: invalid dependency none"),
        ({"say": {"dependentTasks": ["tidy"]}, "tidy": EXIT}, "sorting failed: invalid dependency tidy"),
        ({"say": {"dependentTasks": ["b"]}, "b": {"dependentTasks": ["say"]}}, "graph with cycle"),
        ({"snake_case": {}}, "is invalid: name must consist of alpha-numeric characters or '-'"),
        ({"2nd": {}}, "name cannot begin with a digit"),
        ({"n" * 122: {}}, "is invalid: must be no more than 128"),
    ],
)
def test_what_argo_refuses_of_a_workflow(
    api: Any, name: Any, spec: Any, experiment: Any, tasks: Any, text: Any
) -> None:
    say = spec["root"]["dag"]["tasks"].pop("say")
    spec["root"]["dag"]["tasks"] = {each: {**say, **more} for each, more in tasks.items()}
    body = {"display_name": name, "experiment_id": experiment, "pipeline_spec": spec, **WORD}
    status, error = api.call("POST", "runs", body)
    assert status == 500
    assert "Failed to validate workflow for ()" in error["message"]
    assert text in error["message"]


def test_recurring_run_life(api: Any, name: Any, pipeline: Any, experiment: Any) -> None:
    body = {
        "display_name": name,
        "experiment_id": experiment,
        "max_concurrency": "1",
        "mode": "ENABLE",
        "pipeline_version_reference": {"pipeline_id": pipeline["pipeline_id"]},
        "trigger": {"periodic_schedule": {"interval_second": "1"}},
        **WORD,
    }
    made = api.good("POST", "recurringruns", body)
    path = f"recurringruns/{made['recurring_run_id']}"
    assert made["status"] == "ENABLED"
    listed = api.good("GET", "recurringruns", experiment_id=experiment)
    assert [each["recurring_run_id"] for each in listed["recurringRuns"]] == [made["recurring_run_id"]]
    runs = api.until(
        lambda: api.good("GET", "runs", experiment_id=experiment).get("runs", []),
        lambda found: len(found) > 0,
    )
    assert runs[0]["recurring_run_id"] == made["recurring_run_id"]
    assert api.good("POST", f"{path}:disable") == {}
    assert api.good("GET", path)["status"] == "DISABLED"
    assert api.good("DELETE", path) == {}
    for run in api.good("GET", "runs", experiment_id=experiment).get("runs", []):
        api.good("DELETE", f"runs/{run['run_id']}")
