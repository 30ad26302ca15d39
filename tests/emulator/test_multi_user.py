from __future__ import annotations

from typing import Any

import pytest

ALICE = {"kubeflow-userid": "alice"}
GRANTS = {"alice": frozenset({"team-a"}), "root": frozenset({"*"})}


@pytest.fixture
def api(start: Any) -> Any:
    return start(multi_user=True, grants=GRANTS, tokens={"secret": "alice"})


@pytest.fixture
def alice(api: Any) -> Any:
    api.headers = ALICE
    return api


def test_healthz_says_so_and_asks_nobody(api: Any) -> None:
    assert api.get("healthz")["multi_user"] is True


@pytest.mark.parametrize("path", ["experiments", "runs", "recurringruns"])
def test_without_identity_401(api: Any, path: Any) -> None:
    reply = api.call("GET", path, namespace="team-a")
    assert reply.status == 401
    assert "www-authenticate" in reply.headers
    text = "Failed to check authorization. User identity is empty in the request header"
    assert reply.json["details"][0]["message"] == text


@pytest.mark.parametrize("path", ["experiments", "runs", "recurringruns"])
def test_foreign_namespaces_are_403_and_none_is_400(alice: Any, path: Any) -> None:
    assert alice.call("GET", path, namespace="team-a").status == 200
    reply = alice.call("GET", path, namespace="team-b")
    assert reply.status == 403
    assert reply.json["details"][0]["message"].startswith("User 'alice' is not authorized with reason: ")
    assert alice.call("GET", path).status == 400


def test_bearer_tokens(api: Any) -> None:
    api.headers = {"Authorization": "Bearer secret"}
    assert api.call("GET", "experiments", namespace="team-a").status == 200
    api.headers = {"Authorization": "Bearer wrong"}
    assert api.call("GET", "experiments", namespace="team-a").status == 401


def test_the_bare_servers_header_with_its_prefix(start: Any) -> None:
    api = start(
        multi_user=True,
        user_header="x-goog-authenticated-user-email",
        user_prefix="accounts.google.com:",
        grants=GRANTS,
    )
    api.headers = {"x-goog-authenticated-user-email": "accounts.google.com:alice"}
    assert api.call("GET", "experiments", namespace="team-a").status == 200
    api.headers = {"x-goog-authenticated-user-email": "alice"}
    assert api.call("GET", "experiments", namespace="team-a").status == 401


def test_namespaces_are_kept_apart(alice: Any, small: Any) -> None:
    mine = alice.post("experiments", {"display_name": "e", "namespace": "team-a"})
    assert mine["namespace"] == "team-a"
    reply = alice.call("POST", "experiments", {"display_name": "e", "namespace": "team-b"})
    assert reply.status == 403
    run = alice.run("r", experiment_id=mine["experiment_id"])
    root = {"kubeflow-userid": "root"}
    other = alice.call("POST", "experiments", {"display_name": "e", "namespace": "team-b"}, root).json
    foreign = alice.call(
        "POST",
        "runs",
        {"display_name": "x", "pipeline_spec": small, "experiment_id": other["experiment_id"]},
        root,
    ).json
    assert alice.get("runs", namespace="team-a")["total_size"] == 1
    assert alice.get("runs", experiment_id=mine["experiment_id"])["runs"][0]["run_id"] == run["run_id"]
    for method, path in (
        ("GET", f"runs/{foreign['run_id']}"),
        ("DELETE", f"runs/{foreign['run_id']}"),
        ("POST", f"runs/{foreign['run_id']}:terminate"),
        ("GET", f"experiments/{other['experiment_id']}"),
        ("DELETE", f"experiments/{other['experiment_id']}"),
        ("POST", f"experiments/{other['experiment_id']}:archive"),
    ):
        assert alice.call(method, path).status == 403, (method, path)
    assert alice.call("GET", "runs", experiment_id=other["experiment_id"]).status == 403


def test_a_run_needs_an_experiment(alice: Any, small: Any) -> None:
    reply = alice.call("POST", "runs", {"display_name": "x", "pipeline_spec": small})
    assert reply.status == 400
    assert reply.json["details"][0]["message"] == "Experiment id can not be empty in multi-user mode"
    assert "experiments" not in alice.get("experiments", namespace="team-a")  # no Default


def test_pipelines_without_a_namespace_are_shared(alice: Any) -> None:
    root = {"kubeflow-userid": "root"}
    shared = alice.call("POST", "pipelines", {"name": "shared"}, root).json
    assert alice.call("POST", "pipelines", {"name": "shared-2"}).status == 403
    assert alice.get(f"pipelines/{shared['pipeline_id']}")["name"] == "shared"
    mine = alice.upload(name="mine", namespace="team-a").json
    assert mine["namespace"] == "team-a"
    assert alice.upload(name="mine", namespace="team-b").status == 400  # upload routes say 400
    assert [each["name"] for each in alice.get("pipelines")["pipelines"]] == ["shared"]
    assert [each["name"] for each in alice.get("pipelines", namespace="team-a")["pipelines"]] == ["mine"]
    assert alice.get("pipelines/names/mine", namespace="team-a") == mine
    version = alice.get(f"pipelines/{mine['pipeline_id']}/versions")["pipeline_versions"][0]
    alice.headers = {"kubeflow-userid": "mallory"}
    for path in (mine["pipeline_id"], f"{mine['pipeline_id']}/versions/{version['pipeline_version_id']}"):
        for method, body in (("GET", None), ("PATCH", {"display_name": "x"}), ("DELETE", None)):
            assert alice.call(method, f"pipelines/{path}", body).status == 403


def test_recurring_runs_are_kept_apart(alice: Any, small: Any) -> None:
    mine = alice.post("experiments", {"display_name": "e", "namespace": "team-a"})
    body = {
        "display_name": "j",
        "max_concurrency": 1,
        "pipeline_spec": small,
        "experiment_id": mine["experiment_id"],
    }
    made = alice.post("recurringruns", body)
    assert made["namespace"] == "team-a"
    assert alice.get("recurringruns", namespace="team-a")["total_size"] == 1
    alice.headers = {"kubeflow-userid": "mallory"}
    path = f"recurringruns/{made['recurring_run_id']}"
    for method, tail in (("GET", ""), ("POST", ":enable"), ("POST", ":disable"), ("DELETE", "")):
        assert alice.call(method, path + tail).status == 403


def test_without_grants_every_named_user_may_everything(start: Any) -> None:
    api = start(multi_user=True)
    api.headers = {"kubeflow-userid": "anyone"}
    assert api.call("GET", "runs", namespace="anywhere").status == 200


def test_single_user_mode_blanks_namespaces(start: Any) -> None:
    api = start()
    assert "namespace" not in api.post("experiments", {"display_name": "n", "namespace": "somewhere"})
    assert api.get("experiments", namespace="elsewhere")["total_size"] == 2
