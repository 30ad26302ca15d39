"""Evidence as a user meets it: at the start, in thresholds, in the result, and after a test that was killed."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from kfp_emulator.process import running
from kfp_perf.execution.document import result_document
from kfp_perf.result.reader import TestResult

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from program import Program, Server

    Start = Callable[..., Program]

LOAD: dict[str, Any] = {
    "name": "load",
    "mode": "PIPELINE_RUN",
    "runTime": "1s",
    "numTimes": 8,
    "pipelineFileName": "hello.yaml",
}
COLLECTED = {"KFP_PERF_EVIDENCE": "true", "KFP_PERF_EVIDENCE_INTERVAL_SECONDS": "1"}


def test_a_test_has_the_metrics_of_its_server_and_goes_on_without_others(
    program: Start, server: Server
) -> None:
    urls = f"controller={server.url}/apis/v2beta1/healthz,gone=http://127.0.0.1:1/metrics"
    thresholds = {"server.CreateRun.handling.p50": "<= 5m", "server.memory.max": "< 1KiB"}
    scenarios = {"thresholds": thresholds, "scenarios": [LOAD]}
    one = program(scenarios, "--host", server.url, KFP_PERF_METRICS_URLS=urls, **COLLECTED)
    code, out, err = one.end()
    assert code == 1, err
    assert "INFO     Evidence: metrics of the KFP API server\n" in err
    document = one.result()
    judged = {row["metric"]: row["judged"] for row in document["thresholds"]}
    assert judged["server.CreateRun.handling.p50"] == "kept"
    assert judged["server.memory.max"] == "not kept"
    assert judged["server.restarts"] == "kept", "by default"
    found = document["total"]["server"]
    load = document["total"]["api"]["load"]["CreateRun"]
    # The first scrape is before the load, or the load began in the two seconds that it is waited for.
    assert 0 < found["methods"]["CreateRun"]["handled"] <= load["attempts"]
    assert found["memory_bytes"]["max"] > 2**20
    assert "server.memory.max < 1KiB" in out
    states = {one["name"]: one for one in document["evidence"]}
    assert states["server"] == {
        "name": "server",
        "title": "metrics of the KFP API server",
        "found": f"{server.url}/metrics",
    }
    assert states["gone"]["missing"].startswith("http://127.0.0.1:1/metrics: ")
    assert err.count("Evidence: no metrics of gone: http://127.0.0.1:1/metrics: ") == 1
    assert "no metrics of Argo's workflow controller: " in err
    assert "the answer holds no metrics: it is JSON of another shape" in err
    assert "controller" not in document["total"]


def test_a_restart_of_the_server_fails_a_test(program: Start) -> None:
    with running("--profile", "fast") as emulator:
        one = program([{**LOAD, "runTime": "2s"}], "--host", emulator.url, **COLLECTED)
        one.wait_for(" in flight, ")
        emulator.restart(outage_seconds=0.3)
        code, _, err = one.end()
    assert code == 1, err
    document = one.result()
    assert document["total"]["server"]["restarts"] == 1
    assert "server.restarts is 1, not == 0" in " ".join(document["verdict"]["reasons"])


def test_a_killed_test_has_its_evidence_all_the_same(program: Start, server: Server, tmp_path: Path) -> None:
    one = program([{**LOAD, "runTime": "60s"}], "--host", server.url, **COLLECTED)
    scrapes = tmp_path / "results/latest/evidence/server.scrapes.jsonl"
    one.wait_for(" in flight, ")
    while scrapes.read_bytes().count(b"\n") < 3:
        with contextlib.suppress(subprocess.TimeoutExpired):
            pytest.fail(f"it ended with {one.process.wait(0.1)}")
    one.process.send_signal(signal.SIGKILL)
    one.end()
    result = TestResult(tmp_path / "results/latest")
    assert not (result.path / "result.json").exists()
    document = json.loads(json.dumps(result_document(result)))
    assert document["total"]["server"]["methods"]["CreateRun"]["handled"] > 0
    assert document["evidence"][0]["found"] == f"{server.url}/metrics"
