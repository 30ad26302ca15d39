"""Answers that a real KFP 2.17.0 was seen to give, one test for each way in which they surprise."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import pytest

V2 = "/apis/v2beta1"
ARGO = b"""apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {generateName: old-}
spec: {entrypoint: a, templates: [{name: a, container: {image: busybox}}]}
"""


def test_an_emulator_is_known_by_its_commit(api: Any) -> None:
    assert api.get("healthz")["commit_sha"].startswith("kfp-perf-emulator")


def test_healthz_of_v1_has_no_store(api: Any) -> None:
    assert set(api.call("GET", "/apis/v1beta1/healthz").json) == {"commit_sha", "tag_name", "multi_user"}


@pytest.mark.parametrize(
    ("path", "location"),
    [
        (f"/{V2}/runs", f"{V2}/runs"),
        (f"{V2}//runs?page_size=1", f"{V2}/runs?page_size=1"),
        (f"{V2}/x/../runs/./", f"{V2}/runs/"),
    ],
)
def test_paths_that_are_not_clean_are_redirected(api: Any, path: Any, location: Any) -> None:
    parts = urlsplit(api.url)
    assert parts.hostname is not None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    connection.request("GET", path)
    reply = connection.getresponse()
    assert (reply.status, reply.headers["location"], reply.read()) == (301, location, b"")
    connection.close()


def test_a_slash_at_the_end_asks_for_the_empty_id(api: Any) -> None:
    reply = api.call("GET", "runs/")
    assert reply.status == 404
    message = "Failed to get a run: Failed to fetch run : ResourceNotFoundError: Run  not found"
    assert reply.json["message"] == message


def test_long_answers_are_chunked_and_short_ones_are_not(start: Any, small: Any) -> None:
    api = start()
    assert "content-length" in api.call("GET", "experiments").headers
    small["root"]["inputDefinitions"]["parameters"]["word"]["defaultValue"] = "x" * 3000
    run = api.run("long", small)
    reply = api.call("GET", f"runs/{run['run_id']}")
    assert reply.headers["transfer-encoding"] == "chunked"
    assert len(reply.body) > 3000


def test_a_url_of_more_than_64_kib_is_read(api: Any) -> None:
    reply = api.upload(name="long-url", description="d" * 70_000)
    assert reply.status == 200
    assert len(reply.json["description"]) == 70_000


def test_names_are_unique_whatever_their_case(api: Any) -> None:
    assert api.call("POST", "experiments", {"display_name": "Rec-Case"}).status == 200
    assert api.call("POST", "experiments", {"display_name": "rec-cASE"}).status == 409
    assert api.upload(name="Case").status == 200
    assert api.upload(name="cASE").status == 409
    assert api.get("pipelines/names/CASE")["name"] == "Case"


def test_a_description_that_does_not_fit_its_column(api: Any) -> None:
    reply = api.call("POST", "experiments", {"display_name": "e", "description": "ä" * 256})
    assert reply.status == 500
    text = "Error 1406 (22001): Data too long for column 'Description' at row 1"
    assert reply.json["message"].endswith(f"Failed to add experiment to experiment table: {text}: {text}")
    assert api.call("POST", "experiments", {"display_name": "e", "description": "ä" * 255}).status == 200


def test_a_run_whose_name_does_not_fit_leaves_its_workflow_behind(start: Any, small: Any) -> None:
    api = start("fast")
    before = api.get("/emulator/v1/server")["runs_in_flight"]
    reply = api.call("POST", "runs", {"display_name": "n" * 256, "pipeline_spec": small})
    assert reply.status == 500
    assert reply.json["message"].endswith("Data too long for column 'DisplayName' at row 1")
    assert api.get("/emulator/v1/server")["runs_in_flight"] == before + 1
    assert api.get("runs") == {}
    recurring = {"display_name": "n" * 256, "max_concurrency": "1", "pipeline_spec": small}
    assert api.call("POST", "recurringruns", recurring).status == 500


def test_an_empty_upload_is_an_internal_error(api: Any) -> None:
    reply = api.upload(b"", name="empty")
    assert (reply.status, reply.json["error_message"]) == (
        500,
        "Failed to create a pipeline and a pipeline version",
    )


def test_argo_workflows_are_taken_and_not_run(api: Any) -> None:
    pipeline = api.upload(ARGO, name="argo").json["pipeline_id"]
    version = api.get(f"pipelines/{pipeline}/versions")["pipeline_versions"][0]
    assert version["pipeline_spec"]["kind"] == "Workflow"
    reference = {"pipeline_id": pipeline, "pipeline_version_id": version["pipeline_version_id"]}
    reply = api.call("POST", "runs", {"display_name": "v1", "pipeline_version_reference": reference})
    assert reply.status == 500
    assert "the emulator runs no v1 pipelines" in reply.json["message"]
    inline = {"display_name": "v1", "pipeline_spec": version["pipeline_spec"]}
    assert "the emulator runs no v1 pipelines" in api.call("POST", "runs", inline).json["message"]


def test_broken_yaml_is_answered_unless_a_fault_says_otherwise(start: Any) -> None:
    api = start()
    assert api.upload(b"a: [", name="broken").status == 400
    api.post("/emulator/v1/faults", [{"operation": "UploadPipeline*", "effect": {"kind": "broken_yaml"}}])
    assert api.upload(name="good").status == 200
    parts = urlsplit(api.url)
    assert parts.hostname is not None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=0.3)
    body = b'--b\r\nContent-Disposition: form-data; name="uploadfile"; filename="p.yaml"\r\n\r\na: [\r\n--b--\r\n'
    connection.request(
        "POST", f"{V2}/pipelines/upload?name=b", body, {"Content-Type": "multipart/form-data; boundary=b"}
    )
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()


def test_who_asks_is_said_once_without_a_token(start: Any) -> None:
    api = start(multi_user=True)
    missing = "Request header error: there is no user identity header."
    missing = f"Unauthenticated: {missing}: {missing}"
    begin = "List experiments failed: Failed to authorize with API: Failed to authorize with API: Unauthenticated: "
    begin += "Failed to check authorization. User identity is empty in the request header: "
    reply = api.call("GET", "experiments", namespace="a")
    assert (reply.status, reply.json["message"]) == (401, begin + missing)
    reply = api.call("GET", "experiments", None, {"Authorization": "Bearer nonsense"}, namespace="a")
    assert reply.json["message"].startswith(f"{begin}[{missing}, Authentication failure: Unauthenticated: ")


def test_without_a_namespace_the_newest_pipeline_of_a_name_is_found(start: Any) -> None:
    api = start(multi_user=True)
    api.headers = {"kubeflow-userid": "a"}
    made = api.post("pipelines", {"name": "p", "namespace": "team-a"})
    assert api.get("pipelines/names/p")["pipeline_id"] == made["pipeline_id"]


def test_service_accounts(start: Any, small: Any) -> None:
    api = start(multi_user=True)
    api.headers = {"kubeflow-userid": "a"}
    experiment = api.post("experiments", {"display_name": "e", "namespace": "team-a"})["experiment_id"]
    assert api.run("r", experiment_id=experiment)["service_account"] == "default-editor"
    single = start()
    pipeline = single.upload(name="p").json["pipeline_id"]
    version = single.get(f"pipelines/{pipeline}/versions")["pipeline_versions"][0]["pipeline_version_id"]
    fields = {"display_name": "j", "max_concurrency": "1"}
    newest = {**fields, "pipeline_version_reference": {"pipeline_id": pipeline}}
    assert "service_account" not in single.post("recurringruns", newest)
    pinned = {
        **fields,
        "pipeline_version_reference": {"pipeline_id": pipeline, "pipeline_version_id": version},
    }
    assert single.post("recurringruns", pinned)["service_account"] == "pipeline-runner"


def test_a_recurring_run_without_a_pipeline(api: Any) -> None:
    reply = api.call("POST", "recurringruns", {"display_name": "j", "max_concurrency": "1"})
    text = "Internal error: Cannot create a job with an empty pipeline ID\nFailed to create a recurring run"
    assert reply.status == 500
    assert reply.json["details"][0] == {**reply.json["details"][0], "code": 2, "message": text}
    assert json.loads(reply.body)["message"].endswith(text)


def test_an_unknown_parameter_of_a_recurring_run(api: Any) -> None:
    pipeline = api.upload(name="parameters").json["pipeline_id"]
    reply = api.call(
        "POST",
        "recurringruns",
        {
            "display_name": "j",
            "max_concurrency": "1",
            "pipeline_version_reference": {"pipeline_id": pipeline},
            "runtime_config": {"parameters": {"more": 1}},
        },
    )
    assert reply.status == 400
    assert "Failed to validate the input parameters on the latest pipeline version: " in reply.json["message"]


def test_a_missing_run_is_deleted_in_other_words(api: Any) -> None:
    begin = (
        "Failed to delete a run: Failed to delete run none as it does not exist: Failed to fetch run none: "
    )
    assert api.call("DELETE", "runs/none").json["message"].startswith(begin)


def test_a_filter_without_an_operation(api: Any) -> None:
    reply = api.call("GET", "runs", filter='{"predicates": [{"key": "name", "string_value": "x"}]}')
    assert reply.status == 400
    assert "UnknownApiVersionError: Error using Filter.Predicate.Operation" in reply.json["message"]


def test_a_fault_of_the_compiler_is_shown_whole(api: Any, small: Any) -> None:
    small["root"]["dag"]["tasks"]["say"]["componentRef"]["name"] = "comp-none"
    reply = api.call("POST", "runs", {"display_name": "r", "pipeline_spec": small})
    text = (
        'Internal error: error processing component name="root": cannot find component ref name="comp-none"\n'
        "Failed to compile job\nFailed to generate the ExecutionSpec\nFailed to create a new run"
    )
    assert (reply.status, reply.json["code"], reply.json["message"]) == (500, 13, text)
    assert (reply.json["details"][0]["code"], reply.json["details"][0]["message"]) == (2, text)


def test_argo_refuses_an_unknown_dependency(api: Any, small: Any) -> None:
    inner = {"tasks": {"say": {**small["root"]["dag"]["tasks"]["say"], "dependentTasks": ["none"]}}}
    small["components"]["comp-inner"] = {"dag": inner}
    small["root"]["dag"]["tasks"] = {"group": {"taskInfo": {}, "componentRef": {"name": "comp-inner"}}}
    reply = api.call("POST", "runs", {"display_name": "r", "pipeline_spec": small})
    assert reply.status == 500
    assert reply.json["message"] == (
        "Failed to create a new run: InternalServerError: Failed to validate workflow for (): "
        "templates.entrypoint.tasks.root templates.root.tasks.group templates.comp-inner sorting failed: "
        "invalid dependency none"
    )
    assert reply.json["details"][0]["message"] == "Internal Server Error"


def test_a_run_without_its_experiment_cannot_be_deleted(api: Any, small: Any) -> None:
    experiment = api.post("experiments", {"display_name": "gone"})["experiment_id"]
    run = api.post("runs", {"display_name": "r", "pipeline_spec": small, "experiment_id": experiment})[
        "run_id"
    ]
    api.call("DELETE", f"experiments/{experiment}")
    reply = api.call("DELETE", f"runs/{run}")
    assert reply.status == 404
    assert reply.json["message"] == (
        f"Failed to delete a run: Failed to delete a run {run} due to namespace fetching error: "
        f"Failed to fetch namespace from experiment {experiment}: "
        f"ResourceNotFoundError: Experiment {experiment} not found"
    )


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (
            {"pipeline_version_reference": {"pipeline_version_id": "none"}},
            (
                "Failed to fetch a pipeline version and its manifest from pipeline version none: "
                "Failed to get a pipeline version with id none: "
                "ResourceNotFoundError: PipelineVersion none not found"
            ),
        ),
        (
            {"pipeline_spec": {}},
            (
                "Failed to fetch a template with an invalid pipeline spec manifest: "
                "InvalidInputError: unknown template format: pipeline spec is invalid"
            ),
        ),
    ],
)
def test_runs_of_nothing(api: Any, source: Any, text: str) -> None:
    reply = api.call("POST", "runs", {"display_name": "r", **source})
    assert reply.status == 500
    assert reply.json["message"].endswith(text)
