from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_emulator.protocol.errors import (
    ApiFault,
    Code,
    GatewayRefusal,
    fault_answer,
    internal,
    not_found,
)
from kfp_emulator.protocol.filters import parse_filter
from kfp_emulator.protocol.messages import EXPERIMENT, FILTER, RECURRING_RUN, RUN, json_name
from kfp_emulator.protocol.paging import read_options
from kfp_emulator.protocol.wire import (
    OutwardTime,
    ProtoError,
    decode,
    decode_message,
    has_duplicate_keys,
    rfc3339,
)
from kfp_emulator.storage.schema import RUNS

NAMES = sorted(
    {name for message in (RUN, RECURRING_RUN, FILTER) for name in message.fields} | {"predicates", "values"}
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["1", "EQUALS"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(NAMES + [json_name(name) for name in NAMES]) | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("message", [RUN, RECURRING_RUN, FILTER], ids=lambda message: message.name)
@given(document=JSON)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_any_json_is_a_message_or_a_proto_error(message: Any, document: Any) -> None:
    fields, told = {}, "proto:\u00a0"
    try:
        fields = decode_message(message, json.dumps(document).encode())
    except ProtoError as error:
        told = str(error)
    assert told.startswith("proto:\u00a0")
    assert set(fields) <= set(message.fields)


@given(st.text(max_size=60) | JSON.map(json.dumps))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_filter_and_token_is_options_or_a_fault(text: Any) -> None:
    for parameters in ({"filter_spec": text}, {"page_token": text}, {"sort_by": text}):
        given_ = {"page_token": "", "page_size": 0, "sort_by": "", "filter_spec": "", **parameters}
        code = Code.INVALID_ARGUMENT
        try:
            read_options(RUNS, **given_)
        except ApiFault as fault:
            code = fault.code
        assert code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-01-02T03:04:05.999999999Z", 1767323045),
        ("2026-01-02T04:04:05+01:00", 1767323045),
        ("1969-12-31T23:59:59.5Z", -1),
    ],
)
def test_times_are_whole_seconds(text: Any, seconds: Any) -> None:
    assert decode(EXPERIMENT, json.dumps({"created_at": text}).encode()) == {"created_at": seconds}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-02",
        "2026-13-01T00:00:00Z",
        "2026-01-02 03:04:05Z",
        "2026-01-02T03:04:05",
        "9999-99-99T99:99:99Z",
    ],
)
def test_what_is_no_time(text: Any) -> None:
    with pytest.raises(GatewayRefusal):
        decode(EXPERIMENT, json.dumps({"created_at": text}).encode())


def test_a_time_is_written_as_it_is_read() -> None:
    assert rfc3339(1767323045) == "2026-01-02T03:04:05Z"


def test_outward_times_are_offset_and_truncated() -> None:
    assert OutwardTime().seconds(1_999_999) == 1
    assert OutwardTime(2_500_000).seconds(1_500_000) == 4
    assert OutwardTime(-2_500_000).seconds(1_500_000) == -1
    assert OutwardTime(5_000_000).seconds(None) == 0  # what has not come yet reads 1970


def test_empty_bodies_are_empty_messages_and_nulls_are_absent() -> None:
    assert decode(RUN, b"") == decode(RUN, b"  \n") == decode(RUN, b"{}") == {}
    assert decode(RUN, b'{"display_name": null}') == {}


def test_fault_chains_grow_outwards() -> None:
    fault = not_found("Run", "x").wrapped("Failed to fetch run x", "Failed to get a run")
    body = json.loads(fault_answer(fault).body)
    assert (
        body["message"]
        == "Failed to get a run: Failed to fetch run x: ResourceNotFoundError: Run x not found"
    )
    assert body["details"][0] == {
        "@type": "type.googleapis.com/google.rpc.Status",
        "code": 5,
        "message": "Run x not found",
    }
    hidden = internal("context", fault)
    assert hidden.message == "Internal Server Error"
    assert hidden.chain == f"InternalServerError: context: {fault.chain}"
    assert hidden.status == 500


def test_a_filter_is_parsed_into_kfps_columns() -> None:
    spec = json.dumps({"predicates": [{"operation": "EQUALS", "key": "state", "string_value": "FAILED"}]})
    parsed = parse_filter(spec, RUNS)
    assert parsed is not None
    assert parsed.sections["EQ"] == {"State": ["FAILED"]}
    assert parsed.clauses(RUNS) == [("state = ?", ["FAILED"])]
    assert parse_filter("", RUNS) is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05.999+01:00", "2026-01-02T02:04:05Z"),
        ("0125-10-25T08:41:02-14:54", "0125-10-25T23:35:02Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
        ("0001-01-01T00:00:00+00:01", None),
        ("9999-12-31T23:59:59-00:01", None),
        ("2026-02-30T00:00:00Z", None),
    ],
)
def test_times_of_all_years_come_and_go(text: Any, shown: Any) -> None:
    body = json.dumps({"scheduled_at": text}).encode()
    if shown is None:
        with pytest.raises(GatewayRefusal, match=r"invalid google\.protobuf\.Timestamp"):
            decode(RUN, body)
    else:
        assert rfc3339(decode(RUN, body)["scheduled_at"]) == shown


@given(document=JSON)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_what_is_written_once_has_no_key_twice(document: Any) -> None:
    for raw in (json.dumps(document).encode(), json.dumps(document, ensure_ascii=False, indent=1).encode()):
        assert not has_duplicate_keys(raw, json.loads(raw))


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a": 1, "a": 2}',
        b'{"a" : 1, "a": 2}',
        b'[{"b": {"a": 1, "a": 1}}]',
        rb'{"a": 1, "\u0061": 2}',
        rb'{"a": "\u0022:", "b": 1, "b": 2}',
        rb'{"a": "\":", "a": "\" :"}',
    ],
)
def test_a_key_given_twice_is_seen(raw: Any) -> None:
    assert has_duplicate_keys(raw, json.loads(raw))
