from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from kfp_emulator.cluster.requests import TruthEvent
from kfp_emulator.server.truth import TruthLog


def _lines(reply: Any) -> Any:
    return [json.loads(line) for line in reply.body.splitlines()]


def test_the_truth_of_a_run_in_microseconds(start: Any) -> None:
    api = start("fast")
    run = api.run("true")
    ended = api.wait(run["run_id"])
    reply = api.call("GET", "/emulator/v1/truth", run_id=run["run_id"])
    assert reply.headers["content-type"] == "application/x-ndjson"
    events = _lines(reply)
    of_task = {event["what"]: event["at_us"] for event in events if event.get("task") == "say"}
    of_run = {event["what"]: event["at_us"] for event in events if "task" not in event}
    assert (
        of_run["created"]
        <= of_run["accepted"]
        <= of_task["driver_start"]
        < of_task["driver_end"]
        <= of_task["executor_start"]
    )
    assert of_task["executor_start"] < of_task["executor_end"] <= of_task["task_finished"]
    assert of_task["task_finished"] <= of_run["run_finished"] < of_run["visible"]
    assert [event["n"] for event in events] == sorted(event["n"] for event in events)
    later = _lines(api.call("GET", "/emulator/v1/truth", since=events[2]["n"], run_id=run["run_id"]))
    assert later[: len(events) - 2] == events[2:]
    assert ended["state"] == "SUCCEEDED"
    assert api.call("GET", "/emulator/v1/truth", since="soon").status == 400


def test_a_clock_offset_moves_what_is_shown_and_not_the_truth(start: Any) -> None:
    api = start(clock_offset_seconds=86_400.0, cluster_clock_offset_seconds=-86_400.0)
    run = api.wait(api.run("shifted")["run_id"])
    server = api.get("/emulator/v1/server")
    true_day = server["now_us"] // 86_400_000_000
    shown = {name: _day(run[name]) for name in ("created_at", "finished_at")}
    assert shown["created_at"] - true_day == 1
    assert shown["finished_at"] - true_day == -1
    assert _day(run["state_history"][-1]["update_time"]) - true_day == 1
    reply = api.call("GET", "healthz")
    assert _http_day(reply.headers["date"]) - true_day == 1


def _day(text: Any) -> Any:
    from datetime import datetime

    return int(datetime.fromisoformat(text).timestamp()) // 86_400


def _http_day(text: Any) -> Any:
    from email.utils import parsedate_to_datetime

    return int(parsedate_to_datetime(text).timestamp()) // 86_400


def test_the_log_is_a_ring_and_says_what_was_missed() -> None:
    log = TruthLog(capacity=3)
    for number in range(5):
        log.record(TruthEvent(f"r{number}", "queued", "", number))

    async def collect(since: Any) -> Any:
        return [
            json.loads(line)
            for chunk in [c async for c in log.stream(since, follow=False)]
            for line in chunk.splitlines()
        ]

    assert [event.get("n") for event in asyncio.run(collect(0))] == [None, 2, 3, 4]
    assert asyncio.run(collect(0))[0] == {"missed": 2}
    assert [event["n"] for event in asyncio.run(collect(4))] == [4]
    assert asyncio.run(collect(9)) == []


def test_followers_get_what_comes() -> None:
    async def scenario() -> Any:
        log = TruthLog(10)
        stream = log.stream(0, follow=True)
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        log.accepted("r", 5)
        return json.loads(await waiting)

    assert asyncio.run(scenario()) == {"n": 0, "run_id": "r", "what": "accepted", "at_us": 5}


def _metric(api: Any, name: Any, **labels: Any) -> Any:
    text = api.call("GET", "/metrics").body.decode()
    for line in text.splitlines():
        match = re.fullmatch(r"([a-z_]+)(?:\{(.*)\})? (\S+)", line)
        if match and match[1] == name:
            found = dict(re.findall(r'(\w+)="([^"]*)"', match[2] or ""))
            if labels.items() <= found.items():
                return float(match[3])
    return None


def test_metrics_are_true_to_what_happened(start: Any) -> None:
    api = start()
    assert _metric(api, "run_server_create_requests") == 0
    assert _metric(api, "grpc_server_started_total") is None  # series with labels appear at the first call
    run = api.run("counted")["run_id"]
    api.wait(run)
    api.call("GET", "runs/none")
    api.call("GET", "runs", page_size="x")
    api.upload(name="p")
    assert _metric(api, "run_server_create_requests") == 1
    assert _metric(api, "run_server_run_count") == 1
    handled = "grpc_server_handled_total"
    assert _metric(api, handled, grpc_method="GetRun", grpc_code="NotFound") == 1
    assert _metric(api, "grpc_server_started_total", grpc_method="CreateRun", grpc_type="unary") == 1
    assert _metric(api, "grpc_server_handling_seconds_count", grpc_method="CreateRun") == 1
    assert _metric(api, "grpc_server_handling_seconds_bucket", grpc_method="CreateRun", le="+Inf") == 1
    assert _metric(api, "resource_manager_workflow_runs_success", workflow="counted") == 1
    assert _metric(api, "pipeline_upload_requests") == _metric(api, "pipeline_version_upload_requests") == 1
    assert (_metric(api, "process_cpu_seconds_total") or 0) > 0
    api.delete(f"runs/{run}")
    assert _metric(api, "run_server_run_count") == 0
    assert _metric(api, "resource_manager_workflow_runs_success", workflow="counted") == 0


def test_only_an_upload_that_was_taken_counts_as_a_version(start: Any) -> None:
    api = start()
    assert api.upload(name="p").status == 200
    assert api.upload(name="p").status == 409
    assert api.upload(b"no pipeline", name="q").status == 400
    assert _metric(api, "pipeline_upload_requests") == 3
    assert _metric(api, "pipeline_server_pipeline_version_count") == 1
    handled = api.get("/emulator/v1/server")["requests"]["UploadPipeline"]["handled"]
    assert handled == {"OK": 1, "AlreadyExists": 1, "InvalidArgument": 1}


def test_every_line_of_metrics_is_in_the_text_format(api: Any) -> None:
    api.run('a "quoted" \\ name\n')
    api.wait(api.run('a "quoted" \\ name\n')["run_id"])
    text = api.call("GET", "/metrics").body.decode()
    for line in text.splitlines():
        assert re.fullmatch(
            r"# HELP [a-z_]+ .+|# TYPE [a-z_]+ (counter|gauge|histogram)|"
            r'[a-z_]+(\{(\w+="(\\.|[^"\\])*",?)+\})? [0-9.e+-]+',
            line,
        ), line


def test_metrics_have_the_real_ones_help_from_the_start(start: Any) -> None:
    reply = start().call("GET", "/metrics")
    assert reply.headers["content-type"].endswith("; escaping=underscores")
    text = reply.body.decode()
    assert "# HELP run_server_run_count The current number of runs in Kubeflow Pipelines instance\n" in text
    assert "# TYPE pipeline_server_update_default_version_requests counter\n" in text
    assert "\nresource_manager_workflow_gc 0\n" in text
    assert text.count("# HELP") == text.count("# TYPE") > 50
