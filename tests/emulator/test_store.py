from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from kfp_emulator.protocol.paging import conditions_of, page_sql, read_options
from kfp_emulator.storage.schema import EXPERIMENTS, PIPELINES, RECURRING_RUNS, RUNS, VERSIONS
from kfp_emulator.storage.store import Store, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

KILLS = 50


def _plan(listable: Any, scope: Any, **parameters: Any) -> Any:
    options = read_options(
        listable, **{"page_token": "", "page_size": 0, "sort_by": "", "filter_spec": "", **parameters}
    )
    conditions = conditions_of(listable, options, (f"{scope} = ?", ["x"]))
    store = Store()
    steps = []
    for few in sorted({False, len(conditions) > 1}):
        sql, values = page_sql(listable, options, conditions, "id", few=few)
        steps += [row[3] for row in store.all(f"EXPLAIN QUERY PLAN {sql}", *values)]
    if len(conditions) > 1:
        where = " AND ".join(condition for condition, _ in conditions)
        flat = [value for _, group in conditions for value in group]
        counting = f"EXPLAIN QUERY PLAN SELECT count(*) FROM {listable.table} WHERE {where}"
        steps += [row[3] for row in store.all(counting, *flat)]
    store.close()
    return steps


SINCE = {"operation": "GREATER_THAN_EQUALS", "key": "created_at", "timestamp_value": "2026-01-01T00:00:00Z"}
ACTIVE = {"operation": "IN", "key": "state", "string_values": {"values": ["PENDING", "RUNNING"]}}


@pytest.mark.parametrize(
    ("listable", "scope"),
    [
        (RUNS, "tenant"),
        (RUNS, "experiment_id"),
        (EXPERIMENTS, "tenant"),
        (PIPELINES, "tenant"),
        (VERSIONS, "pipeline_id"),
        (RECURRING_RUNS, "tenant"),
        (RECURRING_RUNS, "experiment_id"),
    ],
)
@pytest.mark.parametrize("sort_by", ["", "created_at desc"])
def test_a_list_neither_scans_nor_sorts(listable: Any, scope: Any, sort_by: Any) -> None:
    first = _plan(listable, scope, sort_by=sort_by)
    options = read_options(listable, page_token="", page_size=0, sort_by=sort_by, filter_spec="")
    later = _plan(listable, scope, page_token=options.token(1_700_000_000, "some-id"))
    for steps in (first, later):
        assert steps
        assert not any("SCAN" in step or "TEMP B-TREE" in step for step in steps), steps


@pytest.mark.parametrize("scope", ["tenant", "experiment_id"])
@pytest.mark.parametrize("predicates", [[SINCE], [ACTIVE, SINCE], [ACTIVE]])
def test_the_lists_of_an_observer_do_not_scan(scope: Any, predicates: Any) -> None:
    steps = _plan(RUNS, scope, filter_spec=json.dumps({"predicates": predicates}))
    assert not any("SCAN" in step for step in steps), steps


def test_counts_follow_inserts_and_deletes() -> None:
    store = Store()
    columns = "id, tenant, namespace, name, description, created_at"
    insert = f"INSERT INTO experiments ({columns}) VALUES (?, ?, '', ?, '', 1)"
    for name in "abc":
        store.write(insert, (name, "t", name))
    with pytest.raises(sqlite3.IntegrityError):
        store.write(insert, ("d", "t", "a"))
    store.write("DELETE FROM experiments WHERE id = 'a'")
    assert store.count("experiments.tenant", "t") == 2
    assert store.total("experiments") == 2
    assert store.count("experiments.tenant", "other") == 0
    store.close()


def test_a_file_that_is_no_store_is_refused(tmp_path: Any) -> None:
    other = tmp_path / "other.db"
    other.write_bytes(b"this is no database at all, but long enough to be looked at" * 20)
    with pytest.raises(StoreError, match="cannot be used"):
        Store(other)
    foreign = tmp_path / "foreign.db"
    connection = sqlite3.connect(foreign)
    connection.execute("CREATE TABLE x (y)")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="something else"):
        Store(foreign)
    newer = tmp_path / "newer.db"
    store = Store(newer)
    store.execute("PRAGMA user_version = 99")
    store.close()
    with pytest.raises(StoreError, match="schema version 99"):
        Store(newer)
    with pytest.raises(StoreError):
        Store(tmp_path / "no" / "such" / "folder.db")


FORKER = """
import os, sys
import celpy, kfp_emulator.options, kfp_emulator.http.server, uvicorn.lifespan.off, uvloop
from kfp_emulator.command import emulator
for line in sys.stdin:
    child = os.fork()
    if not child:
        emulator(line.split())
    os.waitpid(child, 0)
"""
"""Imports once, and forks a server for each line: fifty starts cost no more than a few."""


class Forker:
    """Runs `emulator` with some arguments in processes of their own."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", FORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        self._pids: set[int] = set()

    def serve(self, *arguments: str) -> tuple[str, int]:
        """Start a server; return its url and pid."""
        self._in.write(" ".join(arguments) + "\n")
        self._in.flush()
        ready = json.loads(self._out.readline())
        self._pids.add(ready["pid"])
        return ready["url"], ready["pid"]

    def kill(self, pid: int) -> None:
        """Kill a server at once."""
        self._pids.discard(pid)
        os.kill(pid, signal.SIGKILL)

    def end(self) -> None:
        """Kill what is left, and end."""
        self._in.close()
        for pid in list(self._pids):
            with contextlib.suppress(ProcessLookupError):
                self.kill(pid)
        self._process.wait(20)
        self._out.close()


@pytest.fixture
def forker() -> Iterator[Forker]:
    made = Forker()
    yield made
    made.end()


def _answered_before_a_kill(url: str, body: bytes, answers: int) -> set[str]:
    """Ask for twelve runs at once on one connection; return the ids that had come back after some answers."""
    request = b"POST /apis/v2beta1/runs HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (
        len(body),
        body,
    )
    with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])), timeout=20) as connection:
        connection.sendall(request * 12)
        received = b""
        while received.count(b"HTTP/1.1 200") < answers:
            part = connection.recv(1 << 16)
            assert part, received
            received += part
    return {found.decode() for found in re.findall(rb'"run_id":"([^"]+)"', received)}


def test_a_kill_at_any_moment_loses_nothing_that_was_answered(
    forker: Forker, client: Any, small: Any, tmp_path: Any
) -> None:
    """Kill the server fifty times amid its work, and look for all that was ever answered."""
    answered: set[str] = set()
    arguments = ("--port", "0", "--store", str(tmp_path / "kept.db"), "--profile", "fast", "--seed", "7")
    body = json.dumps({"display_name": "killed", "pipeline_spec": small}).encode()
    for kill in range(KILLS):
        url, pid = forker.serve(*arguments)
        answered |= _answered_before_a_kill(url, body, 1 + kill % 10)
        forker.kill(pid)
    url, _ = forker.serve(*arguments)
    api = client(url)
    found: set[str] = set()
    token, page = "", {}
    while token or not found:
        page = api.get("runs", page_size=200, page_token=token)
        found.update(run["run_id"] for run in page["runs"])
        token = page.get("next_page_token", "")
    assert len(answered) > KILLS
    assert answered <= found
    assert page["total_size"] == len(found)
    assert api.get("experiments")["total_size"] == 1
    for run_id in sorted(answered)[:3]:  # unfinished runs went on
        assert api.wait(run_id)["state"] == "SUCCEEDED"


def test_a_file_belongs_to_one_emulator(tmp_path: Any) -> None:
    first = Store(tmp_path / "one.db")
    with pytest.raises(StoreError, match="locked"):
        Store(tmp_path / "one.db")
    first.close()
    Store(tmp_path / "one.db").close()


def test_a_kept_store_keeps_everything(spawn: Any, tmp_path: Any) -> None:
    store = str(tmp_path / "kept.db")
    api, process = spawn("--store", store, "--profile", "instant")
    pipeline = api.upload(name="kept").json
    run = api.wait(
        api.run("kept", pipeline_version_reference={"pipeline_id": pipeline["pipeline_id"]})["run_id"]
    )
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(20) == 0
    api, _ = spawn("--store", store, "--profile", "instant")
    assert api.get(f"runs/{run['run_id']}") == run
    assert api.get(f"pipelines/{pipeline['pipeline_id']}") == pipeline
    assert api.run("new")["run_id"] != run["run_id"]
