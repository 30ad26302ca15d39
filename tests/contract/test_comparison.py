"""Which differences the replay reports, and which it ignores."""

from __future__ import annotations

import base64
import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from replay.compare import differences
from replay.ids import Ids
from replay.on_purpose import ON_PURPOSE, reason_of
from replay.player import replay
from replay.recording import Recording, read_recordings
from replay.trees import fnv1a, node_names, plain_tree

ONE = "837e9a77-3888-48c5-9ffe-45129c490779"
TWO = "2066b776-3eae-4929-b303-64209eb7c2ed"
MINE = "c513c3c9-86b7-4b61-967f-d9cc5edf4ece"
OWN = read_recordings(Path(__file__).with_name("recordings"))
OTHER = "b4538451-e24c-4c73-99e4-8a32629e18d5"


@pytest.mark.parametrize(
    ("recorded", "emulated", "count"),
    [
        ({"a": 1}, {"a": 1}, 0),
        ({"a": 1}, {"a": 2}, 1),
        ({"a": 1}, {"a": "1"}, 1),
        ({"a": False}, {"a": 0}, 1),
        ({"a": 1}, {}, 1),
        ({}, {"a": 1}, 1),
        ([1, 2], [2, 1], 2),
        ([1, 2], [1], 1),
        ("Run x not found", "Run y not found", 1),
        (f"Run {ONE} not found", f"Run {MINE} not found", 0),
        (f"Run {ONE} not found", f"Run {MINE}  not found", 1),
        ([ONE, ONE], [MINE, MINE], 0),
        ([ONE, ONE], [MINE, OTHER], 1),
        ([ONE, TWO], [MINE, MINE], 1),
        ("2026-01-01T00:00:00Z", "2027-02-02T00:00:00Z", 0),
        ("1970-01-01T00:00:00Z", "2027-02-02T00:00:00Z", 1),
        ("2026-01-01T00:00:00Z", "yesterday", 1),
        ("proto:\N{NO-BREAK SPACE}(line 1:2): x", "proto: (line 1:2): x", 0),
        ("proto: (line 1:2): x", "proto: (line 1:3): x", 1),
        ("wrong\nmain.go\n\t/src/main.go:1\nruntime.goexit\n\t/src/asm_amd64.s:17", "wrong", 0),
        ("wrong\nmain.go\n\t/src/main.go:1\nand more", "wrong", 1),
        ("nightly8bbdj-1-1051101609", "nightlyx0x0x-1-3628661904", 0),
        ({"names": ["a", "b"]}, {"names": ["b", "a"]}, 0),
        ({"names": ["a", "b"]}, {"names": ["b", "c"]}, 2),
        ({"spec": "<trimmed: as in the first entry that has one>"}, {"spec": {"root": {}}}, 0),
        ({"spec": "<trimmed: as in the first entry that has one>"}, {"spec": {}}, 1),
        ({"task_details": "<trimmed: 2 entries>"}, {"task_details": [{}, {}]}, 0),
        ({"task_details": "<trimmed: 2 entries>"}, {"task_details": [{}]}, 1),
        ("xx...<4 characters>", "xxxx", 0),
        ("xx...<4 characters>", "xxxxx", 1),
    ],
)
def test_differences(recorded: Any, emulated: Any, count: int) -> None:
    assert len(differences(recorded, emulated, Ids())) == count


def _token(**fields: Any) -> dict[str, str]:
    return {"next_page_token": base64.b64encode(json.dumps(fields).encode()).decode()}


def test_page_tokens_are_compared_by_their_content() -> None:
    ids = Ids()
    name = _token(SortByFieldName="Name", SortByFieldValue="a", KeyFieldValue=ONE)
    mine = _token(SortByFieldName="Name", SortByFieldValue="a", KeyFieldValue=MINE)
    assert differences(name, mine, ids) == []
    assert ids.translate(name["next_page_token"]) == mine["next_page_token"]
    assert ids.translate(ONE) == MINE
    other = _token(SortByFieldName="Name", SortByFieldValue="b", KeyFieldValue=MINE)
    assert len(differences(name, other, Ids())) == 1
    time = _token(SortByFieldName="CreatedAtInSec", SortByFieldValue=1795899328)
    assert differences(time, _token(SortByFieldName="CreatedAtInSec", SortByFieldValue=17), Ids()) == []


SEQUENCE = {"": [".root-driver"], ".root-driver": [".root"], ".root": []}
"""The nodes of a workflow, by the rest of their names, and their children."""


def _entries(workflow: str, tree: dict[str, list[str]]) -> list[dict[str, Any]]:
    return [
        {
            "task_id": ONE,
            "display_name": name.removeprefix(".") or workflow,
            "start_time": "2026-01-01T00:00:00Z",
            "end_time": "0001-01-01T00:00:00Z",
            "state": "RUNNING",
            "child_tasks": [{"pod_name": f"{workflow}-{fnv1a(workflow + child)}"} for child in children],
        }
        for name, children in tree.items()
    ]


def test_trees_do_not_depend_on_names_ids_times_and_order() -> None:
    recorded = _entries("hello-6cwps", SEQUENCE)
    assert set(node_names(recorded).values()) == {".root-driver", ".root"}
    emulated = _entries("hello-zzzzz", SEQUENCE)[::-1]
    for entry in emulated:
        entry |= {"task_id": TWO, "start_time": "2027-01-01T00:00:00Z"}
    ids = Ids()
    assert differences({"task_details": recorded}, {"task_details": emulated}, ids) == []
    assert (
        ids.translate(recorded[0]["child_tasks"][0]["pod_name"]) == emulated[2]["child_tasks"][0]["pod_name"]
    )


@pytest.mark.parametrize(
    "tree",
    [
        {"": [".root-driver"], ".root-driver": [], ".root": []},
        {"": [".root-driver", ".root"], ".root-driver": [], ".root": []},
        {"": [".root-driver"], ".root-driver": [".root"]},
        {**SEQUENCE, ".more": []},
    ],
)
def test_trees_differ_by_their_children(tree: dict[str, list[str]]) -> None:
    recorded, emulated = _entries("hello-6cwps", SEQUENCE), _entries("hello-6cwps", tree)
    assert differences({"task_details": recorded}, {"task_details": emulated}, Ids()) != []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("state", "FAILED"),
        ("end_time", "2026-01-01T00:00:00Z"),
        ("display_name", "x"),
        ("state_history", [{"state": "RUNNING"}]),
    ],
)
def test_trees_differ_by_what_an_entry_holds(key: str, value: Any) -> None:
    recorded = _entries("hello-6cwps", SEQUENCE)
    emulated = copy.deepcopy(recorded)
    emulated[2][key] = value
    assert len(differences({"task_details": recorded}, {"task_details": emulated}, Ids())) >= 2


def test_a_child_that_cannot_be_named_is_no_match() -> None:
    entries = _entries("hello-6cwps", {"": [".somewhere-else"]})
    assert '"child_tasks": ["?"]' in plain_tree(entries)[0]


def test_only_what_the_table_names_differs_on_purpose() -> None:
    assert reason_of("01-healthz-metrics", ("$.commit_sha: recorded a, emulated b",)) == ON_PURPOSE[0].reason
    assert not reason_of("x", ("$.commit_sha: recorded a, emulated b", "$.tag_name: recorded a, emulated b"))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("status", 404),
        ("headers", {"content-type": "text/plain"}),
        ("body", {"code": 5, "message": "Not Found"}),
    ],
)
def test_a_changed_recording_is_found_out(place: str, value: Any) -> None:
    recording = next(each for each in OWN if each.name == "routing")
    exchange = next(each for each in recording.exchanges if each.status == 501)
    changed = Recording("changed", (replace(exchange, **{place: value}),))
    assert [pair.result for pair in replay(Recording("same", (exchange,)))] == ["equal"]
    assert [pair.result for pair in replay(changed)] == ["different"]
