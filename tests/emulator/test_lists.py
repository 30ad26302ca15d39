"""Paging, sorting and filtering, over the wire."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest


@pytest.fixture(scope="module")
def filled(api: Any) -> Any:
    """Twenty-five experiments e00 ... e24 beside Default."""
    for number in range(25):
        api.post(
            "experiments",
            {"display_name": f"e{number:02d}", "description": "even" if number % 2 == 0 else ""},
        )
    return api


def _filter(*predicates: Any) -> Any:
    return json.dumps({"predicates": list(predicates)})


def _names(page: Any) -> Any:
    return [experiment["display_name"] for experiment in page.get("experiments", [])]


def test_page_sizes(filled: Any) -> None:
    assert len(filled.get("experiments")["experiments"]) == 20
    assert len(filled.get("experiments", page_size=7)["experiments"]) == 7
    assert len(filled.get("experiments", page_size=1000)["experiments"]) == 26
    reply = filled.call("GET", "experiments", page_size=-1)
    assert reply.status == 400
    assert reply.json["details"][0]["message"] == "The page size should be greater than 0. Got -1"


@pytest.mark.parametrize("order", ["name", "name desc", "created_at desc", "id", "", "last_run_created_at"])
def test_the_pages_together_are_all_rows_once_in_order(filled: Any, order: Any) -> None:
    whole = filled.get("experiments", page_size=200, sort_by=order)
    seen, token = [], ""
    for _ in range(10):
        page = (
            filled.get("experiments", page_token=token, page_size=4)
            if token
            else filled.get("experiments", page_size=4, sort_by=order)
        )
        assert page["total_size"] == 26
        seen += page["experiments"]
        token = page.get("next_page_token", "")
        if not token:
            break
    assert seen == whole["experiments"]
    assert "next_page_token" not in whole


def test_a_token_is_what_kfp_writes(filled: Any) -> None:
    token = filled.get("experiments", page_size=3, sort_by="name desc")["next_page_token"]
    document = json.loads(base64.b64decode(token))
    assert document["SortByFieldName"] == document["SortBySQLColumn"] == "Name"
    assert document["SortByFieldPrefix"] == document["KeyFieldPrefix"] == "experiments."
    assert document["KeyFieldName"] == "UUID"
    assert document["IsDesc"] is True
    assert document["ModelName"] == "experiments"
    assert document["Filter"] is None
    page = filled.get("experiments", page_token=token, page_size=1)
    assert page["experiments"][0]["experiment_id"] == document["KeyFieldValue"]


def test_what_is_sent_again_with_a_token_must_match(filled: Any) -> None:
    even = _filter({"operation": "EQUALS", "key": "description", "string_value": "even"})
    token = filled.get("experiments", page_size=3, sort_by="name", filter=even)["next_page_token"]
    assert filled.get("experiments", page_token=token, sort_by="name asc", filter=even)["total_size"] == 13
    assert filled.get("experiments", page_token=token)["total_size"] == 13
    for again in ({"sort_by": "name desc", "filter": even}, {"sort_by": "name"}, {"filter": even}):
        reply = filled.call("GET", "experiments", page_token=token, **again)
        assert reply.status == 400
        assert "page token does not match" in reply.json["details"][0]["message"]


@pytest.mark.parametrize(
    "predicate",
    [
        {"operation": "IN", "key": "name", "string_values": {"values": ["e01", "e02", "e03"]}},
        {"operation": "GREATER_THAN", "key": "created_at", "timestamp_value": "2020-01-01T00:00:00Z"},
        {"operation": "GREATER_THAN", "key": "created_at", "long_value": "5"},
    ],
)
def test_numbers_times_and_lists_never_match_again(filled: Any, predicate: Any) -> None:
    spec = _filter(predicate)
    token = filled.get("experiments", page_size=1, filter=spec)["next_page_token"]
    assert filled.call("GET", "experiments", page_token=token, filter=spec).status == 400
    assert filled.get("experiments", page_token=token)["experiments"]


@pytest.mark.parametrize(
    ("predicate", "names"),
    [
        ({"operation": "EQUALS", "key": "name", "string_value": "e07"}, ["e07"]),
        ({"operation": 1, "key": "display_name", "stringValue": "e07"}, ["e07"]),
        ({"operation": "NOT_EQUALS", "key": "description", "string_value": "even"}, 13),
        ({"operation": "GREATER_THAN", "key": "name", "string_value": "e22"}, ["e23", "e24"]),
        ({"operation": "GREATER_THAN_EQUALS", "key": "name", "string_value": "e23"}, ["e23", "e24"]),
        ({"operation": "LESS_THAN", "key": "name", "string_value": "e01"}, ["Default", "e00"]),
        ({"operation": "LESS_THAN_EQUALS", "key": "name", "string_value": "e00"}, ["Default", "e00"]),
        ({"operation": "IN", "key": "name", "stringValues": {"values": ["e01", "e24", "x"]}}, ["e01", "e24"]),
        ({"operation": "IN", "key": "name", "string_values": {}}, []),
        ({"operation": "IS_SUBSTRING", "key": "name", "string_value": "2"}, 7),
        ({"operation": "LESS_THAN", "key": "created_at", "timestampValue": "2020-01-01T00:00:00Z"}, []),
        ({"operation": "EQUALS", "key": "last_run_created_at", "int_value": 0}, 26),
        ({"operation": "EQUALS", "key": "storage_state", "string_value": "AVAILABLE"}, 26),
    ],
)
def test_every_operation(filled: Any, predicate: Any, names: Any) -> None:
    page = filled.get("experiments", page_size=200, sort_by="name", filter=_filter(predicate))
    found = _names(page)
    assert (len(found) if isinstance(names, int) else found) == names
    assert page.get("total_size", 0) == len(found)


def test_predicates_are_anded_and_decoded_twice(filled: Any) -> None:
    filled.post("experiments", {"display_name": "a b"})
    both = _filter(
        {"operation": "IS_SUBSTRING", "key": "name", "string_value": "1"},
        {"operation": "EQUALS", "key": "description", "string_value": "even"},
    )
    assert _names(filled.get("experiments", filter=both, sort_by="name")) == [
        "e10",
        "e12",
        "e14",
        "e16",
        "e18",
    ]
    spaced = _filter({"operation": "EQUALS", "key": "name", "string_value": "a+b"})
    assert _names(filled.get("experiments", filter=spaced)) == ["a b"]


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("nonsense", "failed to parse valid filter from"),
        ("%zz", "invalid URL escape"),
        ('{"predicates":[{"key":"name"}]}', "Error using Filter.Predicate.Operation"),
        ('{"predicates":[{"operation":"EQUALS","key":"name"}]}', "Error using Filter.Predicate.Value"),
        ('{"predicates":[{"operation":"EQUALS","string_value":"x"}]}', "Predicate key cannot be empty"),
        (
            '{"predicates":[{"operation":"EQUALS","key":"colour","string_value":"x"}]}',
            'unrecognized field "colour"',
        ),
        ('{"predicates":[{"operation":"IN","key":"name","string_value":"x"}]}', "cannot use IN operator"),
        (
            '{"predicates":[{"operation":"EQUALS","key":"name","string_values":{}}]}',
            "cannot use scalar operator",
        ),
        (
            '{"predicates":[{"operation":"IS_SUBSTRING","key":"name","int_value":1}]}',
            "cannot use non string value",
        ),
        (
            '{"predicates":[{"operation":"LIKE","key":"name","string_value":"x"}]}',
            "invalid value for enum field",
        ),
        ('{"predicates":5}', "failed to parse valid filter from"),
        ('{"colour":5}', "unknown field"),
    ],
)
def test_filters_that_are_refused(filled: Any, spec: Any, text: Any) -> None:
    reply = filled.call("GET", "experiments", filter=spec)
    assert reply.status == 400
    assert text in reply.json["details"][0]["message"]


@pytest.mark.parametrize(
    ("order", "text"),
    [
        ("colour", 'Invalid sorting field: "colour" on listable type Experiment'),
        ("name sideways", "Received invalid sort by format"),
        ("name desc now", "Received invalid sort by format"),
    ],
)
def test_orders_that_are_refused(filled: Any, order: Any, text: Any) -> None:
    reply = filled.call("GET", "experiments", sort_by=order)
    assert reply.status == 400
    assert text in reply.json["details"][0]["message"]


def _token(**changes: Any) -> Any:
    document = {
        "SortByFieldName": "CreatedAtInSec",
        "SortBySQLColumn": "CreatedAtInSec",
        "SortByFieldValue": 1,
        "SortByFieldPrefix": "experiments.",
        "KeyFieldName": "UUID",
        "KeyFieldValue": "x",
        "KeyFieldPrefix": "experiments.",
        "IsDesc": False,
        "ModelName": "experiments",
        "Filter": None,
    }
    return base64.b64encode(json.dumps(document | changes).encode()).decode()


@pytest.mark.parametrize(
    ("token", "status"),
    [
        ("not base64!", 400),
        (base64.b64encode(b"not json").decode(), 400),
        (base64.b64encode(b"[]").decode(), 400),
        (_token(SortBySQLColumn="1; DROP TABLE runs"), 400),
        (_token(KeyFieldName="UUID) --"), 400),
        (_token(SortByFieldValue={"a": 1}), 400),
        (_token(Filter={"EQ": {"experiments.Name": [{"a": 1}]}}), 400),
        (_token(Filter=5), 400),
        (_token(SortBySQLColumn="NoSuchColumn"), 500),
        (_token(Filter={"EQ": {"experiments.NoSuch": ["x"]}}), 500),
        (_token(), 200),
        (_token(Filter={"EQ": {"experiments.Name": ["e01"]}}), 200),
    ],
)
def test_forged_tokens(filled: Any, token: Any, status: Any) -> None:
    reply = filled.call("GET", "experiments", page_token=token)
    assert reply.status == status, reply.body


def test_an_empty_list_is_an_empty_object(api: Any) -> None:
    assert api.get("recurringruns") == {}


@pytest.mark.parametrize(
    ("key", "column"),
    [("experiment_id", "ExperimentUUID"), ("metric:x", "x"), ("state_history", "StateHistory")],
)
def test_keys_that_no_token_can_hold_are_refused_where_there_is_another_page(
    api: Any, key: Any, column: Any
) -> None:
    for number in range(2):
        api.run(f"m{number}")
    assert len(api.get("runs", sort_by=key, page_size=200)["runs"]) >= 2
    reply = api.call("GET", "runs", sort_by=key, page_size=1)
    assert reply.status == 400
    text = f'cannot sort by field "{column}" on type "Run"'
    assert reply.json["details"][0]["message"] == text
    assert reply.json["message"] == f"Failed to list runs: Failed to list runs: Invalid input error: {text}"


def test_case_does_not_count_in_filters_and_orders(start: Any) -> None:
    api = start()
    for name in ("rec-l0", "REC-L1", "rec-L2"):
        api.post("experiments", {"display_name": name})
    for operation, key, value in (
        ("EQUALS", "name", "Rec-l1"),
        ("EQUALS", "storage_state", "available"),
        ("IS_SUBSTRING", "name", "ReC"),
    ):
        spec = _filter({"operation": operation, "key": key, "string_value": value})
        assert "REC-L1" in {
            each["display_name"] for each in api.get("experiments", filter=spec)["experiments"]
        }
    names = [each["display_name"] for each in api.get("experiments", sort_by="name")["experiments"]]
    assert names == ["Default", "rec-l0", "REC-L1", "rec-L2"]
    run = api.wait(api.run("state")["run_id"])
    spec = _filter({"operation": "EQUALS", "key": "state", "string_value": "succeeded"})
    assert [each["run_id"] for each in api.get("runs", filter=spec)["runs"]] == [run["run_id"]]


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("nonsense", "invalid character '\\u009e' looking for beginning of value"),
        ("e30x", "invalid character '1' after top-level value"),
        ("!!", "illegal base64 data at input byte 0"),
        ("W10=", None),
    ],
)
def test_page_tokens_that_are_none(api: Any, token: Any, reason: Any) -> None:
    reply = api.call("GET", "runs", page_token=token)
    assert reply.status == 400
    assert reply.json["details"][0]["message"] == "Invalid page token"
    if reason:
        assert reply.json["message"].endswith(f"InvalidInputError: Invalid page token: {reason}")


def test_lists_of_pipelines_repeat_what_was_asked(api: Any) -> None:
    reply = api.call("GET", "pipelines", sort_by="colour", page_size=3)
    assert (
        "due invalid list options: pageToken: , pageSize: 3, sortBy: colour, filter: : "
        in reply.json["message"]
    )


def test_runs_can_be_filtered_by_v1_words_and_states(api: Any) -> None:
    run = api.wait(api.run("state")["run_id"])
    for key, value in (("state", "SUCCEEDED"), ("status", "Succeeded"), ("run_id", run["run_id"])):
        spec = _filter({"operation": "EQUALS", "key": key, "string_value": value})
        listed = api.get("runs", filter=spec, page_size=200)
        assert run["run_id"] in {each["run_id"] for each in listed["runs"]}
