"""Every route, fuzzed from our own OpenAPI document: no crash, no traceback, no hang, no shape of its own."""

from __future__ import annotations

import json
import os
import uuid
import warnings
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from kfp_emulator.http.routes import API_ROUTES

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import schemathesis
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

EXAMPLES = int(os.environ.get("KFP_FUZZ_EXAMPLES", "12"))
"""A few in the suite; more by hand: KFP_FUZZ_EXAMPLES=1000."""

DELIBERATE_500 = {
    "CreateExperiment",
    "CreatePipeline",
    "CreatePipelineAndVersion",
    "CreatePipelineVersion",
    "CreateRun",
    "CreateRecurringRun",
}
"""Where the real server answers 500 to bad input: empty names, lengths, and what cannot be run."""

RUNNABLE = {"CreateRun", "CreateRecurringRun"}


@pytest.fixture(scope="module")
def operations(api: Any) -> Any:
    """The operations of the document, as schemathesis reads them."""
    document = schemathesis.openapi.from_url(f"{api.url}/emulator/v1/openapi.json")
    results: Any = document.get_all_operations()
    found = [result.ok() for result in results]
    return {operation.definition.raw["operationId"]: operation for operation in found}


@pytest.fixture
def known(api: Any) -> Any:
    """Ids of objects that exist, by path parameter."""
    pipeline = api.upload(name=f"known-{uuid.uuid4().hex}").json["pipeline_id"]
    run = api.wait(api.run("known", pipeline_version_reference={"pipeline_id": pipeline})["run_id"])
    schedule = {
        "display_name": "known",
        "max_concurrency": 1,
        "pipeline_version_reference": {"pipeline_id": pipeline},
    }
    return {
        "name": api.get(f"pipelines/{pipeline}")["name"],
        "node_id": next(
            task["child_tasks"][0]["pod_name"]
            for task in run["run_details"]["task_details"]
            if "child_tasks" in task
        ),
        "experiment_id": run["experiment_id"],
        "pipeline_id": pipeline,
        "pipeline_version_id": run["pipeline_version_reference"]["pipeline_version_id"],
        "run_id": run["run_id"],
        "recurring_run_id": api.post("recurringruns", schedule)["recurring_run_id"],
    }


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("name", [route.operation for route in API_ROUTES])
def test_no_request_breaks_the_server(
    api: Any, operations: Any, known: Any, name: Any, existing: Any
) -> None:
    before = _requests(api, name)

    @given(case=operations[name].as_strategy())
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def fuzz(case: Any) -> None:
        if existing:
            case.path_parameters.update({key: known[key] for key in case.path_parameters if key in known})
            if name in RUNNABLE and isinstance(case.body, dict):
                case.body = {
                    **{key: case.body[key] for key in case.body if key != "pipeline_spec"},
                    **_good(known),
                }
        _check(case, name)

    fuzz()
    assert _requests(api, name) > before, "another route took them all"


def _requests(api: Any, operation: Any) -> int:
    counts = api.get("/emulator/v1/server")["requests"]
    return int(counts.get(operation, {}).get("started", 0))


def _good(known: Any) -> dict[str, Any]:
    """What a run needs, so that the rest of a body is looked at as well."""
    reference = {key: known[key] for key in ("pipeline_id", "pipeline_version_id")}
    return {
        "display_name": "fuzzed",
        "experiment_id": known["experiment_id"],
        "pipeline_version_reference": reference,
    }


def _check(case: Any, operation: Any) -> None:
    response = case.call()
    text = response.text
    assert "Traceback" not in text
    assert "the emulator failed" not in text
    if response.status_code == 500:
        assert operation in DELIBERATE_500, text
        assert json.loads(text)["code"] == 13
        return
    checks = [not_a_server_error, status_code_conformance]
    if response.headers.get("content-type", [""])[0].startswith("application/json"):
        checks.append(response_schema_conformance)
        json.loads(text)
    if response.status_code != 501:  # a path parameter can make another route of a URL
        case.validate_response(response, checks=checks)
