"""Each call's method, path, parameters and body, and what becomes of the answer."""

from __future__ import annotations

import asyncio
import inspect
import json
from email import message_from_bytes
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from kfp_perf.client import KfpClient, ListQuery, Operator, Predicate, RestClient
from kfp_perf.client.messages import RecurringRunSpec, RunSpec
from kfp_perf.errors import ApiAnswerError
from kfp_perf.result.records import Purpose

if TYPE_CHECKING:
    from collections.abc import Callable

    Play = Callable[..., Any]
    Behave = Any

API = "/apis/v2beta1"
QUERY = ListQuery(namespace="ns", page_size=50, sort_by="created_at desc")
ASKED = "namespace=ns&page_size=50&sort_by=created_at%20desc"

CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any], Any, str, str, str]] = [
    ("healthz", (), {}, {}, "GetHealthz", "GET", "/healthz"),
    ("get_run", ("r-1",), {}, {"run_id": "r-1"}, "GetRun", "GET", "/runs/r-1"),
    ("get_run", ("a/b:c?",), {}, {"run_id": "r-1"}, "GetRun", "GET", "/runs/a%2Fb%3Ac%3F"),
    ("list_runs", (QUERY,), {}, {}, "ListRuns", "GET", f"/runs?{ASKED}"),
    ("terminate_run", ("r-1",), {}, {}, "TerminateRun", "POST", "/runs/r-1:terminate"),
    ("delete_run", ("r-1",), {}, {}, "DeleteRun", "DELETE", "/runs/r-1"),
    ("get_experiment", ("e-1",), {}, {"experiment_id": "e-1"}, "GetExperiment", "GET", "/experiments/e-1"),
    ("list_experiments", (QUERY,), {}, {}, "ListExperiments", "GET", f"/experiments?{ASKED}"),
    ("delete_experiment", ("e-1",), {}, {}, "DeleteExperiment", "DELETE", "/experiments/e-1"),
    ("get_pipeline", ("p-1",), {}, {"pipeline_id": "p-1"}, "GetPipeline", "GET", "/pipelines/p-1"),
    ("list_pipelines", (QUERY,), {}, {}, "ListPipelines", "GET", f"/pipelines?{ASKED}"),
    ("delete_pipeline", ("p-1",), {}, {}, "DeletePipeline", "DELETE", "/pipelines/p-1"),
    (
        "delete_pipeline",
        ("p-1",),
        {"cascade": True},
        {},
        "DeletePipeline",
        "DELETE",
        "/pipelines/p-1?cascade=true",
    ),
    (
        "get_pipeline_version",
        ("p-1", "v-1"),
        {},
        {"pipeline_version_id": "v-1"},
        "GetPipelineVersion",
        "GET",
        "/pipelines/p-1/versions/v-1",
    ),
    (
        "list_pipeline_versions",
        ("p-1", QUERY),
        {},
        {},
        "ListPipelineVersions",
        "GET",
        f"/pipelines/p-1/versions?{ASKED}",
    ),
    (
        "delete_pipeline_version",
        ("p-1", "v-1"),
        {},
        {},
        "DeletePipelineVersion",
        "DELETE",
        "/pipelines/p-1/versions/v-1",
    ),
    ("list_recurring_runs", (QUERY,), {}, {}, "ListRecurringRuns", "GET", f"/recurringruns?{ASKED}"),
    ("disable_recurring_run", ("j-1",), {}, {}, "DisableRecurringRun", "POST", "/recurringruns/j-1:disable"),
    ("delete_recurring_run", ("j-1",), {}, {}, "DeleteRecurringRun", "DELETE", "/recurringruns/j-1"),
]


@pytest.mark.parametrize(
    ("call", "given", "named", "answer", "operation", "method", "target"),
    CALLS,
    ids=lambda value: str(value)[:30],
)
def test_calls(
    play: Play,
    behave: Behave,
    call: str,
    given: tuple[Any, ...],
    named: dict[str, Any],
    answer: Any,
    operation: str,
    method: str,
    target: str,
) -> None:
    async def scene(it: Any) -> None:
        due = it.clock.now() - 3.0
        await getattr(it.client.for_purpose(Purpose.SETUP), call)(*given, due=due, **named)
        (request,) = it.server.requests
        assert (request.method, request.target, request.body) == (method, API + target, b"")
        (sample,) = it.samples
        assert (sample.operation, sample.due, sample.purpose) == (operation, due, Purpose.SETUP)
        assert (sample.status, sample.error, len(sample.attempts)) == (200, "", 1)

    play(scene, behave.answer(answer))


def test_every_call_of_the_protocol_is_tested_here() -> None:
    calls = {name for name, _ in inspect.getmembers(KfpClient, inspect.iscoroutinefunction)} - {"aclose"}
    elsewhere = {
        *("create_run", "create_experiment", "create_recurring_run"),
        *("upload_pipeline", "upload_pipeline_version"),
        *("find_run", "find_experiment", "find_pipeline"),
    }
    assert {call for call, *_ in CALLS} == calls - elsewhere


def test_the_rest_client_is_a_kfp_client(play: Play, behave: Behave) -> None:
    async def scene(it: Any) -> None:
        client: KfpClient = it.client
        assert client.url == f"http://127.0.0.1:{it.server.port}"
        assert (client.retries, client.backoff_seconds) == (0, 0.0)

    play(scene, behave.answer())
    assert RestClient.__doc__


def test_create_run(play: Play, behave: Behave) -> None:
    spec = RunSpec(
        name="run é",
        experiment_id="e-1",
        pipeline_id="p-1",
        pipeline_version_id="v-1",
        parameters={"a": 1, "b": [True, None]},
        pipeline_root="s3://bucket",
        service_account="me",
    )

    async def scene(it: Any) -> None:
        calls: list[Any] = []
        run = await it.client.create_run(spec, on_sample=calls.append)
        assert (run.run_id, run.created_at, run.finished_at) == ("r-1", 1_790_000_000.0, None)
        request = it.server.requests[0]
        assert (request.method, request.target) == ("POST", f"{API}/runs")
        assert request.headers["Content-Type"] == "application/json"
        assert json.loads(request.body) == {
            "display_name": "run é",
            "experiment_id": "e-1",
            "pipeline_version_reference": {"pipeline_id": "p-1", "pipeline_version_id": "v-1"},
            "runtime_config": {"parameters": {"a": 1, "b": [True, None]}, "pipeline_root": "s3://bucket"},
            "service_account": "me",
        }
        assert calls == it.samples
        (sample,) = calls
        assert sample.due <= sample.sent < sample.ended
        assert len(sample.attempts) == 1

    answer = {"run_id": "r-1", "created_at": "2026-09-21T14:13:20Z", "finished_at": "1970-01-01T00:00:00Z"}
    play(scene, behave.answer(answer))


def test_fields_that_are_empty_are_not_sent(play: Play, behave: Behave) -> None:
    async def scene(it: Any) -> None:
        await it.client.create_run(RunSpec(name="r", pipeline_id="p-1"))
        await it.client.create_experiment("e")
        bodies = [json.loads(request.body) for request in it.server.requests]
        assert bodies[0] == {
            "display_name": "r",
            "pipeline_version_reference": {"pipeline_id": "p-1"},
        }
        assert bodies[1] == {"display_name": "e"}

    play(scene, behave.answer({"run_id": "r-1"}), behave.answer({"experiment_id": "e-1"}))


def test_a_creation_that_is_answered_without_an_id_is_none(play: Play, behave: Behave) -> None:
    async def scene(it: Any) -> None:
        with pytest.raises(ApiAnswerError) as caught:
            await it.client.create_run(RunSpec(name="r"))
        assert caught.value.outcome_unknown
        assert it.attempts[0].unknown

    play(scene, behave.answer({}))


def test_create_experiment(play: Play, behave: Behave) -> None:
    async def scene(it: Any) -> None:
        made = await it.client.create_experiment("e", namespace="ns", description="d")
        assert (made.experiment_id, made.display_name) == ("e-1", "e")
        assert json.loads(it.server.requests[0].body) == {
            "display_name": "e",
            "namespace": "ns",
            "description": "d",
        }

    play(scene, behave.answer({"experiment_id": "e-1", "display_name": "e"}))


@pytest.mark.parametrize(
    ("given", "trigger", "rest"),
    [
        (
            {"cron": "0 */5 * * * *", "enabled": False},
            {"cron_schedule": {"cron": "0 */5 * * * *"}},
            {"mode": "DISABLE", "no_catchup": False, "max_concurrency": "10"},
        ),
        (
            {
                "interval_seconds": 60,
                "start_at": 1_790_000_000.9,
                "end_at": 1_790_000_060.0,
                "max_concurrency": 1,
                "no_catchup": True,
            },
            {
                "periodic_schedule": {
                    "interval_second": "60",
                    "start_time": "2026-09-21T14:13:20Z",
                    "end_time": "2026-09-21T14:14:20Z",
                }
            },
            {"mode": "ENABLE", "no_catchup": True, "max_concurrency": "1"},
        ),
    ],
)
def test_create_recurring_run(
    play: Play, behave: Behave, given: dict[str, Any], trigger: dict[str, Any], rest: dict[str, Any]
) -> None:
    async def scene(it: Any) -> None:
        made = await it.client.create_recurring_run(RecurringRunSpec(name="j", experiment_id="e-1", **given))
        assert made.recurring_run_id == "j-1"
        assert json.loads(it.server.requests[0].body) == {
            "display_name": "j",
            "experiment_id": "e-1",
            "trigger": trigger,
            **rest,
        }

    play(scene, behave.answer({"recurring_run_id": "j-1"}))


@pytest.mark.parametrize("version", [False, True])
def test_uploads(play: Play, behave: Behave, version: bool) -> None:
    content = b"# \xc3\xa9\r\n--boundary\npipelineInfo: {}\n"

    async def scene(it: Any) -> None:
        if version:
            made = await it.client.upload_pipeline_version(content, pipeline_id="p-1", name="v & w")
            assert made.pipeline_version_id == "v-1"
        else:
            made = await it.client.upload_pipeline(content, name="p & q", namespace="ns")
            assert made.pipeline_id == "p-1"
        request = it.server.requests[0]
        target = urlsplit(request.target)
        if version:
            assert target.path == f"{API}/pipelines/upload_version"
            assert parse_qs(target.query) == {"name": ["v & w"], "pipelineid": ["p-1"]}
        else:
            assert target.path == f"{API}/pipelines/upload"
            assert parse_qs(target.query) == {"name": ["p & q"], "namespace": ["ns"]}
        kind = request.headers["Content-Type"].encode()
        message: Any = message_from_bytes(b"Content-Type: " + kind + b"\r\n\r\n" + request.body)
        (part,) = message.get_payload()
        assert part.get_param("name", header="Content-Disposition") == "uploadfile"
        assert part.get_filename().endswith(".yaml")
        assert request.body.count(content) == 1

    play(scene, behave.answer({"pipeline_id": "p-1", "pipeline_version_id": "v-1"}))


@pytest.mark.parametrize(
    ("find", "named", "key", "identity", "extra"),
    [
        (
            "find_run",
            {"experiment_id": "e-1", "namespace": "ns"},
            "runs",
            "run_id",
            {"experiment_id": ["e-1"]},
        ),
        ("find_run", {"namespace": "ns"}, "runs", "run_id", {"namespace": ["ns"]}),
        ("find_experiment", {"namespace": "ns"}, "experiments", "experiment_id", {"namespace": ["ns"]}),
        ("find_pipeline", {}, "pipelines", "pipeline_id", {}),
    ],
)
def test_a_unique_name_is_looked_up(
    play: Play,
    behave: Behave,
    find: str,
    named: dict[str, str],
    key: str,
    identity: str,
    extra: dict[str, list[str]],
) -> None:
    async def scene(it: Any) -> None:
        found = await getattr(it.client, find)("wanted", **named)
        assert getattr(found, identity) == "2"
        assert await getattr(it.client, find)("wanted", **named) is None
        asked = parse_qs(urlsplit(it.server.requests[0].target).query)
        assert json.loads(asked.pop("filter")[0]) == {
            "predicates": [{"string_value": "wanted", "operation": "EQUALS", "key": "name"}]
        }
        assert asked == {"page_size": ["2"], **extra}

    rows = [{identity: "1", "display_name": "other"}, {identity: "2", "display_name": "wanted"}]
    play(scene, behave.answer({key: rows}), behave.answer({}))


@pytest.mark.parametrize(
    ("call", "given", "key", "identity"),
    [
        ("list_runs", (), "runs", "run_id"),
        ("list_experiments", (), "experiments", "experiment_id"),
        ("list_pipelines", (), "pipelines", "pipeline_id"),
        ("list_pipeline_versions", ("p-1",), "pipeline_versions", "pipeline_version_id"),
        ("list_recurring_runs", (), "recurringRuns", "recurring_run_id"),
    ],
)
def test_a_page_has_its_rows_under_the_key_of_its_kind(
    play: Play, behave: Behave, call: str, given: tuple[str, ...], key: str, identity: str
) -> None:
    async def scene(it: Any) -> None:
        page = await getattr(it.client, call)(*given, ListQuery())
        assert [getattr(item, identity) for item in page.items] == ["1", "2"]
        assert (page.next_page_token, page.total_size) == ("more==", 7)
        query = ListQuery(sort_by="name", filter=(Predicate("name", Operator.EQUALS, "x"),), page_size=2)
        empty = await getattr(it.client, call)(*given, query.next(page.next_page_token))
        assert (list(empty.items), empty.next_page_token, empty.total_size) == ([], "", 0)
        assert urlsplit(it.server.requests[1].target).query == "page_token=more%3D%3D&page_size=2"

    rows = [{identity: "1"}, {identity: "2"}]
    play(scene, behave.answer({key: rows, "next_page_token": "more==", "total_size": 7}), behave.answer({}))


def test_requests_have_ids_of_their_own(play: Play, behave: Behave) -> None:
    async def scene(it: Any) -> None:
        await asyncio.gather(*(it.client.healthz() for _ in range(3)))
        ids = sorted(request.headers["X-Request-Id"] for request in it.server.requests)
        assert ids == ["test-1", "test-2", "test-3"]

    play(scene, behave.answer({"multi_user": False}))
