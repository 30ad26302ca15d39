"""Evidence from a cluster as a user meets it: at the start, in thresholds, in the result and its report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_emulator.process import running
from kfp_perf.reports import write_report
from kfp_perf.result.reader import TestResult

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from program import Program

    Start = Callable[..., Program]

LOAD: dict[str, Any] = {
    "name": "load",
    "mode": "PIPELINE_RUN",
    "runTime": "3s",
    "numTimes": 12,
    "pipelineFileName": "hello.yaml",
}
COLLECTED = {"KFP_PERF_EVIDENCE": "true", "KFP_PERF_EVIDENCE_INTERVAL_SECONDS": "1"}


def test_pods_are_joined_and_a_component_that_is_killed_for_memory_fails_the_test(
    program: Start, tmp_path: Path
) -> None:
    thresholds = {"pods.driver.scheduling.p50": "< 1m", "components.*.memory_share_of_limit.max": "< 100%"}
    with running("--profile", "fast", "--kubernetes-token", "secret=perf") as emulator:
        settings = {"KFP_PERF_KUBERNETES_URL": emulator.kubernetes_url, "KFP_PERF_KUBERNETES_TOKEN": "secret"}
        scenarios = {"thresholds": thresholds, "scenarios": [LOAD]}
        one = program(scenarios, "--host", emulator.url, **settings, **COLLECTED)
        one.wait_for("pods of runs")  # the collector has read the state of the components
        emulator.restart_component("mysql", reason="OOMKilled", outage_seconds=0.2)
        code, _, err = one.end()
    assert code == 1, err
    collected = "".join(line for line in err.splitlines() if "Evidence: " in line)
    assert "Kubernetes API" in collected
    assert "pods of runs" in collected
    document = one.result()
    pods, runs = document["total"]["pods"], document["total"]["runs"]
    # On a busy machine the first runs may end, within a second, before the collector is there.
    assert 0 < pods["runs_with_pods"] <= runs["created"]
    assert pods["driver"]["work_seconds"]["n"] > pods["executor"]["work_seconds"]["n"] > 0
    mysql = document["total"]["components"]["by_name"]["mysql"]
    assert (mysql["restarts"], mysql["oom_kills"]) == (1, 1)
    judged = {row["metric"]: row["judged"] for row in document["thresholds"]}
    assert judged["pods.driver.scheduling.p50"] == "kept"
    assert "components.mysql.restarts is 1, not == 0" in " ".join(document["verdict"]["reasons"])
    result = TestResult.open(tmp_path / "results/latest")
    (report,) = write_report(result, "html", tmp_path)
    text = report.read_text()
    assert "Where did pods wait?" in text
    assert "mysql restarted 1 time during the test, because it had used all of its memory." in text
    assert "secret" not in "".join(path.read_text() for path in result.path.rglob("*.json*"))


def test_a_token_that_is_refused_is_said_and_the_test_goes_on(program: Start) -> None:
    with running("--profile", "fast", "--kubernetes-token", "secret=perf") as emulator:
        settings = {"KFP_PERF_KUBERNETES_URL": emulator.kubernetes_url, "KFP_PERF_KUBERNETES_TOKEN": "wrong"}
        one = program([{**LOAD, "runTime": "1s"}], "--host", emulator.url, **settings, **COLLECTED)
        code, _, err = one.end()
    assert code == 0, err
    assert err.count("Unauthorized (401)") >= 1
    assert not any(name in one.result()["total"] for name in ("pods", "components"))
