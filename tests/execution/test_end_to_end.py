"""The main job as its user sees it: the program, a server on a real socket, and the files that are left."""

from __future__ import annotations

import json
import re
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from program import Program

from kfp_perf.cli import outcome
from kfp_perf.execution import EmulatorProcess

if TYPE_CHECKING:
    from collections.abc import Callable

    from program import Server

    Start = Callable[..., Program]

TWO: list[dict[str, Any]] = [
    {"name": "a", "mode": "PIPELINE_RUN", "runTime": "2s", "numTimes": 2, "pipelineFileName": "hello.yaml"},
    {
        "name": "b",
        "mode": "EXPERIMENT",
        "startTime": "1s",
        "runTime": "1s",
        "arrivalRate": "6/s",
        "pipelineFileName": "hello.yaml",
    },
]
BROKEN = """
from kfp_perf import BaseRunner

class Broken(BaseRunner):
    def run(self):
        raise ZeroDivisionError("on purpose")

    def stop(self):
        self.log.info("stopped all the same")

RUNNERS = {"BROKEN": Broken}
"""
LONG: list[dict[str, Any]] = [{**scenario, "runTime": "10min"} for scenario in TWO]


@pytest.fixture(scope="module")
def main_job(server: Server, tmp_path_factory: pytest.TempPathFactory) -> tuple[Program, str]:
    """A test of both scenarios that has ended, and its output."""
    folder = tmp_path_factory.mktemp("main-job")
    (folder / "t.json").write_text(json.dumps(TWO))
    one = Program(folder, "run", "t.json", "--host", server.url)
    code, out, err = one.end()
    assert code == 0, err
    return one, out


def test_the_main_job(main_job: tuple[Program, str], server: Server) -> None:
    one, out = main_job
    assert "passed" in out
    assert "results/latest" in out or one.result()["name"] in out
    document = one.result()
    runs = one.runs()
    assert document["verdict"]["exit_code"] == 0
    assert [scenario["name"] for scenario in document["scenarios"]] == ["a", "b"]
    total = document["total"]["runs"]
    assert total["created"] == total["succeeded"] == len(runs) > 6
    assert {total[name] for name in ("failed", "refused", "lost", "unfinished", "never_started")} == {0}
    assert total["success_rate"] == 1.0
    assert {"p50", "p90", "p95", "p99", "max", "mean"} <= set(total["duration_seconds"])
    for key in ("due", "sent", "ended", "created", "succeeded"):
        assert total[key] == sum(one["metrics"]["runs"][key] for one in document["scenarios"])
    assert document["scenarios"][1]["metrics"]["runs"]["due"] == 6
    create = document["total"]["api"]["load"]["CreateRun"]
    assert create["count"] == len(runs)
    assert create["error_rate"] == 0
    assert create["latency_seconds"]["p50"] >= create["service_seconds"]["p50"] > 0
    assert document["scenario_file"]["text"] == (one.folder / "t.json").read_text()
    assert document["leftovers"] == []
    assert server.ours() == {}
    tasks = one.lines("tasks.jsonl")
    assert {task["run_id"] for task in tasks} == {run["run_id"] for run in runs}
    assert all(task["ended_at"] >= task["started_at"] > 0 for task in tasks)
    for run in runs:
        assert run["outcome"] == "succeeded"
        assert run["due"] <= run["sent"] <= run["ended"] <= run["seen_finished"]
    assert (one.folder / "results/latest/logs/kfp-perf.log").stat().st_size > 0


def test_scenarios_share_one_time_zero_and_overlap(main_job: tuple[Program, str]) -> None:
    one, _ = main_job
    due = {name: sorted(run["due"] for run in one.runs() if run["scenario"] == name) for name in "ab"}
    # A slot is due when its thread wakes up, which a busy machine delays.
    assert due["b"][0] - due["a"][0] == pytest.approx(1.0, abs=0.5), "both count from one time zero"
    assert due["b"][0] < due["a"][-1]


def test_the_emulator_comes_with_it_and_goes_with_it(program: Start) -> None:
    one = program([{**TWO[0], "runTime": "1s"}], "--emulator")
    code, out, err = one.end()
    assert code == 0, err
    assert "emulator" in out
    document = one.result()
    assert document["verdict"]["emulator"] is True
    assert document["target"]["emulator_profile"] == "fast"


def test_one_runner_s_failure_does_not_stop_another(program: Start, server: Server) -> None:
    one = program(
        [{"name": "x", "mode": "BROKEN", "runTime": "1s"}, TWO[0]],
        *("--host", server.url, "--plugin", "broken.py"),
        files={"broken.py": BROKEN},
    )
    code, out, err = one.end()
    assert code == 1
    assert "ZeroDivisionError" in err
    assert "stopped all the same" in err
    assert "on purpose" in out
    document = one.result()
    assert document["scenarios"][0]["error"] == "ZeroDivisionError: on purpose"
    assert document["scenarios"][1]["metrics"]["runs"]["succeeded"] > 2
    assert server.ours() == {}


def test_the_example_plugin(program: Start, server: Server, request: pytest.FixtureRequest) -> None:
    examples = request.config.rootpath / "examples"
    one = program(
        json.loads((examples / "plugin.json").read_text()),
        *("--host", server.url, "--plugin", str(examples / "plugin.py")),
        *("--config-class", f"{examples / 'plugin.py'}:ExtendedTestConfig"),
        KFP_PERF_TEAM="search",
    )
    code, _, err = one.end()
    assert code == 0, err
    health, runs = one.result()["scenarios"]
    assert health["metrics"]["asked"] == 60
    assert health["metrics"]["team"] == "search"
    assert health["metrics"]["api"]["load"]["GetHealthz"]["count"] == 60
    assert runs["metrics"]["gaps"]["longest"] > 0
    html = (one.folder / "results/latest/report.html").read_text()
    assert ["gaps.longest" in html, "How evenly did runs end?" in html] == [True, True]


def test_a_server_of_many_users_wants_a_namespace(program: Start) -> None:
    with EmulatorProcess("instant", 1, ("--multi-user",)) as emulator:
        one = program(LONG, "--host", emulator.url)
        code, _, err = one.end()
    assert code == 3, err
    assert "multi-user" in err
    assert "--kubeflow" in err
    assert not (one.folder / "results").exists()


def test_ctrl_c_once_ends_in_good_order(program: Start, server: Server) -> None:
    one = program(LONG, "--host", server.url)
    one.wait_for(" in flight, ")
    one.interrupt()
    code, out, err = one.end()
    assert code == 4, err
    assert "Stopping: no new work" in err
    assert "stopped before its end" in out
    document = one.result()
    assert document["verdict"]["exit_code"] == 4
    assert document["total"]["runs"]["created"] == len(one.runs()) > 0
    assert server.ours() == {}


def test_ctrl_c_twice_ends_at_once_and_what_is_left_can_be_cleaned_up(
    program: Start, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = program(LONG, "--host", server.url, "--keep")
    one.wait_for(" in flight, ")
    one.interrupt()
    one.interrupt()
    code, _, err = one.end()
    assert code == 4, err
    assert one.result()["verdict"]["exit_code"] == 4
    assert server.ours() != {}
    monkeypatch.chdir(one.folder)
    assert outcome(["cleanup", "results/latest", "--host", server.url]) == 0
    assert server.ours() == {}


def test_figures_that_cannot_be_saved_are_printed_all_the_same(program: Start, server: Server) -> None:
    one = program(LONG, "--host", server.url)
    one.wait_for(" in flight, ")
    (one.folder / "results/latest/.result.json.new").mkdir()  # where it is written before it gets its name
    one.interrupt()
    code, out, err = one.end()
    assert code == 2, err
    assert "Traceback" not in err
    assert re.search(r"^CreateRun +[1-9]", out, re.MULTILINE)
    found = re.search(r"result\.json: .*Is a directory\s+It is in (\S+)\. ", out)
    assert found
    rescued = Path(found[1])
    assert json.loads(rescued.read_text())["total"]["runs"]["created"] > 0
    rescued.unlink()
    assert server.ours() == {}


def test_after_kill_9_clean_up_leaves_nothing(
    program: Start, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = program(LONG, "--host", server.url)
    one.wait_for(" in flight, ")
    one.process.send_signal(signal.SIGKILL)
    assert one.end()[0] == -signal.SIGKILL
    assert server.ours() != {}
    monkeypatch.chdir(one.folder)
    assert outcome(["cleanup", "--host", server.url]) == 0
    assert server.ours() == {}


def test_a_target_that_stays_away_is_exit_3_with_what_was_measured(program: Start) -> None:
    with EmulatorProcess("fast") as emulator:
        one = program(
            LONG,
            *("--host", emulator.url),
            KFP_PERF_OUTAGE_LIMIT_SECONDS="2",
            KFP_PERF_CLEANUP_TIMEOUT_SECONDS="1",
        )
        one.wait_for(" in flight, ")
        emulator._process.kill()
        code, out, err = one.end()
    assert code == 3, err
    assert "did not come back" in out
    assert one.result()["total"]["runs"]["created"] == sum(bool(run.get("run_id")) for run in one.runs())
    assert one.result()["leftovers"]


def test_a_folder_that_is_removed_meanwhile_costs_no_threshold(program: Start, server: Server) -> None:
    limits = {"api.GetRun.latency.p50": "< 1us"}
    reads = {
        "mode": "RANDOM_GETS",
        "name": "reads",
        "runTime": "2s",
        "arrivalRate": "20/s",
        "thresholds": limits,
    }
    one = program([{**reads, "mix": {"GetRun": 1}, "prefill": {"runs": 1}}], "--host", server.url)
    one.wait_for("in flight")
    shutil.rmtree((one.folder / "results/latest").resolve())
    code, _, err = one.end()
    assert code == 1, err
    assert "was removed during the test" in err
    document = one.result()
    assert document["target"]["url"] == server.url
    assert "api.GetRun.latency.p50" in {one["metric"] for one in document["thresholds"]}
