from __future__ import annotations

import re
from typing import Any


def test_default_experiment_exists_and_cannot_be_deleted(api: Any) -> None:
    default = next(
        e for e in api.get("experiments", page_size=200)["experiments"] if e["display_name"] == "Default"
    )
    assert default["last_run_created_at"] == "1970-01-01T00:00:00Z"
    assert default["storage_state"] == "AVAILABLE"
    reply = api.call("DELETE", f"experiments/{default['experiment_id']}")
    assert reply.status == 409
    assert reply.json["code"] == 10
    assert "The default experiment cannot be deleted" in reply.json["details"][0]["message"]


def test_create_get_delete(api: Any) -> None:
    made = api.post("experiments", {"display_name": "one", "description": "d"})
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", made["created_at"])
    assert "namespace" not in made  # empty fields are left out
    assert api.get(f"experiments/{made['experiment_id']}") == made
    assert api.delete(f"experiments/{made['experiment_id']}") == {}
    reply = api.call("GET", f"experiments/{made['experiment_id']}")
    assert reply.status == 404
    error = reply.json
    assert error["details"][0]["message"] == f"Experiment {made['experiment_id']} not found"
    assert error["details"][0]["@type"] == "type.googleapis.com/google.rpc.Status"
    assert error["message"].startswith("Failed to fetch experiment: ")
    assert error["message"].endswith(f"ResourceNotFoundError: Experiment {made['experiment_id']} not found")
    assert "grpc-metadata-content-type" not in reply.headers
    assert api.call("GET", "experiments").headers["grpc-metadata-content-type"] == "application/grpc"


def test_names_are_unique_and_required(api: Any) -> None:
    api.post("experiments", {"displayName": "twice"})
    reply = api.call("POST", "experiments", {"display_name": "twice"})
    assert reply.status == 409
    text = "Failed to create a new experiment. The name twice already exists. Please specify a new name"
    assert reply.json["details"][0]["message"] == text
    reply = api.call("POST", "experiments", {})
    assert reply.status == 500
    assert reply.json["details"][0]["message"] == "Internal Server Error"
    assert "Experiment must have a non-empty name" in reply.json["message"]
    assert api.call("POST", "experiments", {"display_name": "x" * 129}).status == 500


def test_archive_takes_the_runs_along_and_unarchive_does_not(api: Any) -> None:
    made = api.post("experiments", {"display_name": "archived"})["experiment_id"]
    run = api.run("in it", experiment_id=made)
    assert api.post(f"experiments/{made}:archive") == {}
    assert api.post(f"experiments/{made}:archive") == {}
    assert api.get(f"experiments/{made}")["storage_state"] == "ARCHIVED"
    assert api.get(f"runs/{run['run_id']}")["storage_state"] == "ARCHIVED"
    reply = api.call("POST", f"runs/{run['run_id']}:unarchive")
    assert reply.status == 400
    assert reply.json["code"] == 9
    api.post(f"experiments/{made}:unarchive")
    assert api.get(f"runs/{run['run_id']}")["storage_state"] == "ARCHIVED"
    api.post(f"runs/{run['run_id']}:unarchive")
    assert api.get(f"runs/{run['run_id']}")["storage_state"] == "AVAILABLE"


def test_verbs_on_an_unknown_experiment_answer_200_in_single_user_mode(api: Any) -> None:
    assert api.post("experiments/none:archive") == {}
    assert api.post("experiments/none:unarchive") == {}


def test_runs_of_a_deleted_experiment_are_orphans(api: Any) -> None:
    made = api.post("experiments", {"display_name": "orphans"})["experiment_id"]
    run = api.run("orphan", experiment_id=made)["run_id"]
    assert api.get(f"experiments/{made}")["last_run_created_at"] != "1970-01-01T00:00:00Z"
    api.delete(f"experiments/{made}")
    assert api.get(f"runs/{run}")["experiment_id"] == made
    api.post(f"runs/{run}:archive")
    for verb in (":unarchive", ":terminate", ":retry"):
        reply = api.call("POST", f"runs/{run}{verb}")
        assert reply.status == 404
        assert reply.json["details"][0]["message"] == f"Experiment {made} not found"
    assert api.call("DELETE", f"runs/{run}").status == 404
    assert api.call("GET", "runs", experiment_id=made).status == 404
