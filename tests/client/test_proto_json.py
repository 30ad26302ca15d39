"""Everything that proto3's JSON mapping allows can be read."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from kfp_perf.client import methods
from kfp_perf.client.messages import Run

PAGE = {
    "runs": [
        {
            "run_id": "r-1",
            "display_name": None,
            "state": None,
            "finished_at": None,
            "state_history": None,
            "error": None,
            "run_details": {"task_details": None},
            "pipeline_version_reference": None,
        },
        {"run_id": "r-2", "state": "RUNNING", "run_details": None, "state_history": [{"error": None}]},
    ],
    "next_page_token": None,
    "total_size": "2",
}


def _decode(operation: Any, document: Any) -> Any:
    return operation.decoder.decode(json.dumps(document).encode())


def test_null_is_unset_and_a_number_may_be_a_text() -> None:
    page = _decode(methods.LIST_RUNS, PAGE)
    assert (page.next_page_token, page.total_size) == ("", 2)
    first, second = page.items
    assert first == Run(run_id="r-1", run_details=first.run_details)
    assert (first.error_message, first.finished_at, first.is_final) == ("", None, False)
    assert (second.state, second.error_message) == ("RUNNING", "")


@pytest.mark.parametrize("size", [3, "3", 3.0])
def test_an_integer_in_each_of_its_forms(size: Any) -> None:
    assert _decode(methods.LIST_EXPERIMENTS, {"total_size": size}).total_size == 3


@pytest.mark.parametrize(
    "operation", [one for one in vars(methods).values() if isinstance(one, methods.ApiMethod)]
)
def test_every_answer_may_have_null_in_all_that_is_optional(operation: Any) -> None:
    answer = operation.decoder._usual.type
    fields = {field.encode_name: "x" if field.required else None for field in msgspec.structs.fields(answer)}
    required = {name: value for name, value in fields.items() if value}
    assert _decode(operation, fields) == _decode(operation, required)


def test_what_is_decoded_later_may_hold_null_too() -> None:
    run = _decode(
        methods.GET_RUN, {"run_id": "r", "error": {"code": None, "message": "gone", "details": None}}
    )
    assert run.error_message == "gone"
    run = _decode(methods.GET_RUN, {"run_id": "r", "error": {"code": 1, "message": None}})
    assert run.error_message == ""


def test_null_in_a_list_is_refused_with_its_place() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"runs\[0\]"):
        _decode(methods.LIST_RUNS, {"runs": [None]})


def test_what_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises((RecursionError, msgspec.ValidationError)):
        methods.GET_RUN.decoder.decode(b'{"run_id": null, "x": ' + b"[" * 900 + b"]" * 900 + b"}")
