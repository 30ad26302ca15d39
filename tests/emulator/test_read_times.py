"""Reads that take as long as those of a real server."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from manual_emulator import Manual

from kfp_emulator.clock import SECOND
from kfp_emulator.protocol.call import Call
from kfp_emulator.server.prefill import Prefill
from kfp_emulator.server.read_times import read_seconds

FILTER = json.dumps(
    {"predicates": [{"operation": "NOT_EQUALS", "key": "storage_state", "string_value": "x"}]}
)
SEARCH = json.dumps({"predicates": [{"operation": "IS_SUBSTRING", "key": "name", "string_value": "x"}]})


def _call(operation: Any, **query: Any) -> Call:
    return Call(operation, {}, urlencode(query).encode(), [], b"")


def test_a_run_takes_longer_the_more_entries_it_has(small: Any) -> None:
    manual = Manual()
    run = manual.good("POST", "runs", {"display_name": "r", "pipeline_spec": small})["run_id"]
    manual.clock.advance(SECOND)
    body = manual.backend.runs.body(run) or b""
    assert read_seconds(manual.backend, _call("GetRun"), body) == pytest.approx(0.0038, rel=0.05)
    many = body + b'"task_id":' * 57
    assert read_seconds(manual.backend, _call("GetRun"), many) == pytest.approx(0.018, rel=0.05)
    page = b",".join([body] * 10)
    assert read_seconds(manual.backend, _call("ListRuns"), page) == pytest.approx(0.042, rel=0.05)


def test_a_list_takes_longer_the_more_rows_there_are() -> None:
    manual = Manual(prefill=Prefill(runs=2000, experiments=1))
    history = next(
        each["experiment_id"]
        for each in manual.good("GET", "experiments")["experiments"]
        if each["display_name"].startswith("history")
    )
    seconds = {
        name: read_seconds(manual.backend, _call("ListRuns", **query), b"{}") - 0.004
        for name, query in {
            "newest": {},
            "filtered": {"filter": FILTER},
            "searched": {"filter": SEARCH},
            "of the experiment": {"experiment_id": history, "filter": FILTER},
        }.items()
    }
    assert seconds["newest"] == pytest.approx(2000 * 0.95e-6)
    assert seconds["newest"] < seconds["filtered"] < seconds["searched"] < seconds["of the experiment"]
    assert seconds["of the experiment"] == pytest.approx(14 * 2000 / 40_000, rel=0.01)


def test_a_page_token_brings_its_filter_along() -> None:
    manual = Manual(prefill=Prefill(runs=30))
    first = manual.good("GET", f"runs?page_size=1&filter={quote(FILTER)}")
    token = first["next_page_token"]
    again = read_seconds(manual.backend, _call("ListRuns", page_token=token), b"{}")
    assert again == read_seconds(manual.backend, _call("ListRuns", filter=FILTER), b"{}")


def test_only_reads_wait() -> None:
    backend = Manual().backend
    assert read_seconds(backend, _call("CreateRun"), b"{}") == 0
    assert read_seconds(backend, _call("GetExperiment"), b"{}") == 0.0015


def test_it_is_an_option(start: Any) -> None:
    api = start(read_times=True)
    api.get("runs")
    api.get("experiments")
    requests = api.get("/emulator/v1/server")["requests"]
    assert requests["ListRuns"]["seconds"] >= 0.004
    assert requests["ListExperiments"]["seconds"] >= 0.0024
