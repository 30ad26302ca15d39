from __future__ import annotations

from typing import Any

import pytest

from kfp_emulator.server.prefill import Prefill, parse_prefill


@pytest.fixture
def api(start: Any) -> Any:
    return start(prefill=Prefill(runs=450, pipelines=30, experiments=4))


def test_the_rows_are_there_and_look_like_real_ones(api: Any) -> None:
    assert api.get("runs")["total_size"] == 450
    assert api.get("pipelines")["total_size"] == 30
    assert api.get("experiments")["total_size"] == 5
    runs = api.get("runs", page_size=200, sort_by="created_at desc")["runs"]
    assert {run["state"] for run in runs} == {"SUCCEEDED", "FAILED"}
    run = api.get(f"runs/{runs[0]['run_id']}")
    assert run == runs[0]
    assert run["created_at"] < run["finished_at"]
    assert run["state_history"][-1]["state"] == run["state"]
    assert {task["run_id"] for task in run["run_details"]["task_details"]} == {run["run_id"]}
    api.get(f"experiments/{run['experiment_id']}")
    reference = run["pipeline_version_reference"]
    api.get(f"pipelines/{reference['pipeline_id']}/versions/{reference['pipeline_version_id']}")
    again = api.run("again", pipeline_version_reference=reference)
    assert api.wait(again["run_id"])["state"] == "SUCCEEDED"


def test_prefilled_runs_can_be_archived_deleted_and_retried(api: Any) -> None:
    runs = api.get("runs", page_size=200)["runs"]
    failed = next(run["run_id"] for run in runs if run["state"] == "FAILED")
    api.post(f"runs/{failed}:archive")
    assert api.get(f"runs/{failed}")["storage_state"] == "ARCHIVED"
    api.post(f"runs/{failed}:retry")
    assert api.wait(failed, "SUCCEEDED")["storage_state"] == "ARCHIVED"
    api.delete(f"runs/{failed}")
    assert api.get("runs")["total_size"] == 449


def test_a_kept_store_is_filled_once(spawn: Any, tmp_path: Any) -> None:
    for _ in range(2):
        api, process = spawn("--prefill", "runs=5", "--store", str(tmp_path / "x.db"))
        assert api.get("runs")["total_size"] == 5
        process.stdin.close()
        process.wait(20)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", Prefill()),
        ("runs=5", Prefill(runs=5)),
        ("runs=1, pipelines=2,experiments=3,namespace=n", Prefill(1, 2, 3, "n")),
    ],
)
def test_parsing(text: Any, wanted: Any) -> None:
    assert parse_prefill(text) == wanted


@pytest.mark.parametrize("text", ["runs", "runs=", "runs=-1", "runs=1e3", "runs=99999999", "cats=3", "5"])
def test_what_is_no_prefill(text: Any) -> None:
    with pytest.raises(ValueError, match=r"none of|must be a number"):
        parse_prefill(text)
