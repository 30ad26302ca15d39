from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, unquote_plus

import msgspec
import pytest

from kfp_perf.client.messages import ACTIVE_STATES, FINAL_STATES, Run, RunState, format_time, parse_time
from kfp_perf.client.protocol import ListQuery, Operator, Predicate, encode_filter


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-09-21T14:13:20Z", 1_790_000_000.0),
        ("2026-09-21T16:13:20+02:00", 1_790_000_000.0),
        ("2026-09-21T14:13:20.5Z", 1_790_000_000.5),
        ("2026-09-21T14:13:20", 1_790_000_000.0),
        ("1970-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00Z", None),
        ("", None),
        ("yesterday", None),
        ("2026-13-45T99:99:99Z", None),
    ],
)
def test_times(text: str, seconds: float | None) -> None:
    assert parse_time(text) == seconds


def test_a_time_is_written_as_the_server_writes_it() -> None:
    assert format_time(1_790_000_000.999) == "2026-09-21T14:13:20Z"


def test_a_run_in_full() -> None:
    run = msgspec.json.decode(
        json.dumps(
            {
                "run_id": "r-1",
                "state": "SUCCEEDED",
                "created_at": "2026-09-21T14:13:20Z",
                "scheduled_at": "2026-09-21T14:13:21Z",
                "finished_at": "2026-09-21T14:13:30Z",
                "pipeline_version_reference": {"pipeline_id": "p", "pipeline_version_id": "v"},
                "state_history": [{"update_time": "2026-09-21T14:13:20Z", "state": "PENDING"}, {}],
                "run_details": {"task_details": [{"display_name": "root"}]},
                "error": {"code": 1},
                "a_field_of_the_future": [1, {}],
            }
        ),
        type=Run,
    )
    assert (run.created_at, run.scheduled_at, run.finished_at) == tuple(1.79e9 + add for add in (0, 1, 10))
    assert [(entry.state, entry.updated_at) for entry in run.state_history] == [
        ("PENDING", 1.79e9),
        ("", None),
    ]
    assert run.is_final
    assert run.run_details is not None
    assert json.loads(bytes(run.run_details.task_details)) == [{"display_name": "root"}]


def test_states_are_final_or_active() -> None:
    assert set(RunState) == FINAL_STATES | ACTIVE_STATES
    assert not FINAL_STATES & ACTIVE_STATES
    assert RunState.CANCELING in ACTIVE_STATES


def test_a_filter_survives_being_decoded_twice() -> None:
    """The server unescapes a filter once more than it should, which would turn + into a space."""
    nasty = 'a+b %41 "c" & d=é'
    query = ListQuery(filter=(Predicate("name", Operator.EQUALS, nasty),)).encode()
    once = parse_qs(query.removeprefix("?"))["filter"][0]
    for text in (once, unquote_plus(once)):
        assert json.loads(text)["predicates"][0]["string_value"] == nasty


def test_values_travel_under_the_name_of_their_type() -> None:
    predicates = (
        Predicate("a", Operator.IS_SUBSTRING, "text"),
        Predicate("b", Operator.GREATER_THAN, 5),
        Predicate("c", Operator.LESS_THAN_EQUALS, 1_790_000_000.7),
        Predicate("d", Operator.IN, ("x", "y")),
    )
    assert json.loads(encode_filter(predicates)) == {
        "predicates": [
            {"operation": "IS_SUBSTRING", "key": "a", "string_value": "text"},
            {"operation": "GREATER_THAN", "key": "b", "int_value": 5},
            {"operation": "LESS_THAN_EQUALS", "key": "c", "timestamp_value": "2026-09-21T14:13:20Z"},
            {"operation": "IN", "key": "d", "string_values": {"values": ["x", "y"]}},
        ]
    }


def test_a_query_that_asks_for_nothing_is_empty() -> None:
    assert ListQuery().encode() == ""


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, ""),
        ({"error": {"code": 13, "message": "gone"}}, "gone"),
        ({"error": "gone"}, "gone"),
        ({"error": None}, ""),
        ({"error": {"message": ["of another shape"]}}, ""),
        ({"state_history": [{"error": {"message": "first"}}, {"error": {"message": "last"}}, {}]}, "last"),
        (
            {"error": {}, "state_history": [{"state": "FAILED", "error": {"code": 2, "message": "why"}}]},
            "why",
        ),
    ],
)
def test_what_kfp_says_is_wrong_with_a_run(fields: dict[str, Any], told: str) -> None:
    run = msgspec.json.decode(msgspec.json.encode({"run_id": "a", **fields}), type=Run)
    assert run.error_message == told
