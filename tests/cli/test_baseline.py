"""`run --baseline` and `report --baseline`: thresholds relative to a baseline."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from made_executions import total, write_execution, write_side

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    KfpPerf = Callable[..., tuple[int, str, str]]

RELATIVE = {"run.visible.mean": "<= baseline + 10%"}
SLOW = [100.0, 101.0, 99.5]
"""Times that no run on the emulator takes."""
QUICK = [0.001, 0.00101, 0.00099]


def write_scenario(folder: Path, thresholds: dict[str, str]) -> None:
    scenario: dict[str, Any] = {
        "mode": "PIPELINE_RUN",
        "numTimes": 1,
        "runTime": "1s",
        "pipelineFileName": "hello.yaml",
    }
    (folder / "s.json").write_text(json.dumps({"thresholds": thresholds, "scenarios": [scenario]}))


def run(kfp_perf: KfpPerf, url: str, *options: str) -> tuple[int, str, str]:
    return kfp_perf("run", "s.json", "--target", url, "-q", *options)


def test_a_test_is_judged_by_its_baseline_and_the_report_by_another(
    folder: Path, kfp_perf: KfpPerf, emulator_url: str
) -> None:
    write_scenario(folder, RELATIVE)
    write_side(folder / "slow", SLOW)
    code, out, err = run(kfp_perf, emulator_url, "--baseline", "slow")
    assert code == 0, err
    assert "Baseline: the scenario file differs" in err, "it is said before the load"
    assert "<= baseline (100.2 s) + 10%" in out
    assert "✓ kept" in out
    assert "the scenario file differs" in " ".join(out.split())
    latest = (folder / "results" / "latest").resolve()
    document = json.loads((latest / "result.json").read_text())
    assert document["baseline"]["executions"] == ["slow/00", "slow/01", "slow/02"]
    (judged,) = (one for one in document["thresholds"] if one["baseline"])
    assert (judged["judged"], judged["baseline"]["executions"]) == ("kept", 3)

    # From the files alone, without the baseline and the result, the verdict is the same.
    (latest / "result.json").unlink()
    for file in (folder / "slow").rglob("*.json"):
        file.unlink()
    _, out, _ = kfp_perf("report", str(latest), "-f", "json")
    assert [one for one in json.loads(out)["thresholds"] if one["baseline"]] == [judged]

    write_side(folder / "quick", QUICK)
    _, out, err = kfp_perf("report", str(latest), "--baseline", "quick")
    assert "✗ not kept" in out
    assert "<= baseline (1.0 ms) + 10%" in out
    _, out, _ = kfp_perf("report", str(latest), "--baseline", "quick/00")
    assert "✗ cannot be told" in out
    assert "the baseline has 1 of at least 3 executions" in " ".join(out.split())


@pytest.mark.parametrize(("options", "code", "sign"), [([], 1, "✗"), (["--undecided", "pass"], 0, "?")])
def test_what_cannot_be_told_fails_unless_it_is_accepted(
    folder: Path, kfp_perf: KfpPerf, emulator_url: str, options: list[str], code: int, sign: str
) -> None:
    write_scenario(folder, RELATIVE)
    write_execution(folder / "one", total(1.0))
    found, out, err = run(kfp_perf, emulator_url, "--baseline", "one", *options)
    assert (found, f"{sign} cannot be told" in out) == (code, True), err
    _, out, _ = kfp_perf("report", "-f", "markdown")
    said = "of the rest it cannot be told, which was accepted" if options else "1 of 5 thresholds failed"
    assert said in out


def test_the_variable_names_baselines_too(
    folder: Path, kfp_perf: KfpPerf, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_scenario(folder, RELATIVE)
    monkeypatch.setenv("KFP_PERF_BASELINE", "a:b")
    code, _, err = kfp_perf("run", "s.json")
    assert code == 2
    assert "a: does not exist" in err


def test_without_a_baseline_nothing_is_run(folder: Path, kfp_perf: KfpPerf) -> None:
    write_scenario(folder, RELATIVE)
    code, _, err = kfp_perf("run", "s.json", "--host", "http://127.0.0.1:9")
    assert code == 2
    assert 's.json:1:17: $.thresholds["run.visible.mean"]: <= baseline + 10% needs a baseline' in err
    assert "--baseline FOLDER" in err
    assert not (folder / "results").exists()


def test_a_first_test_is_run_without_one_where_that_is_accepted(
    folder: Path, kfp_perf: KfpPerf, emulator_url: str
) -> None:
    write_scenario(folder, RELATIVE)
    code, out, err = run(kfp_perf, emulator_url, "--undecided", "pass")
    assert code == 0, err
    assert "? cannot be told" in out
    code, out, err = kfp_perf("report", "--baseline", str((folder / "results" / "latest").resolve()))
    assert (code, "stands on both sides" in err) == (2, True)


@pytest.mark.parametrize(
    ("thresholds", "prepare", "what"),
    [
        ({"run.visible.mean": "<= baseline + 30/min"}, "", "is not a margin in per cent or units of time"),
        ({"run.visible.mean": "<= baseline"}, "", "a baseline needs a margin"),
        (RELATIVE, "missing", "does not exist"),
        (RELATIVE, "newer", "was written by a newer kfp-perf"),
        (RELATIVE, "damaged", "cannot be read"),
        (RELATIVE, "partial", "holds no execution that can be compared"),
        ({"api.GetRun.latency.p95": "<= baseline + 10%"}, "good", "has no values of api.GetRun.latency.p95"),
    ],
)
def test_baselines_that_cannot_be_are_input_errors(
    folder: Path, kfp_perf: KfpPerf, thresholds: dict[str, str], prepare: str, what: str
) -> None:
    write_scenario(folder, thresholds)
    if prepare != "missing":
        odd: dict[str, dict[str, Any]] = {"newer": {"schema_version": 99}, "partial": {"complete": False}}
        changes = odd.get(prepare, {})
        write_execution(folder / "a", total(10.0), **changes)
    if prepare == "damaged":
        (folder / "a" / "result.json").write_text("{")
    code, _, err = kfp_perf("run", "s.json", "--host", "http://127.0.0.1:9", "--baseline", "a")
    assert code == 2
    assert what in err
    assert not (folder / "results").exists()


def test_reports_that_cannot_be_are_input_errors(folder: Path, kfp_perf: KfpPerf) -> None:
    thresholds = [
        {"scenario": None, "metric": "run.visible.mean", "condition": "<= baseline + 10%", "where": "x"}
    ]
    write_execution(folder / "a", total(10.0), given={"thresholds": thresholds})
    write_execution(folder / "b", total(10.0), minute=5)
    for new, baseline, what in (
        ("a", "a", "stands on both sides"),
        ("b", "a", "has no threshold that is relative to a baseline"),
        ("a", "c", "does not exist"),
    ):
        code, _, err = kfp_perf("report", new, "--baseline", baseline)
        assert (code, what in err) == (2, True), err


def test_validate_says_which_bounds_follow_from_a_baseline_and_what_does_not_fit(
    folder: Path, kfp_perf: KfpPerf
) -> None:
    write_scenario(folder, {**RELATIVE, "run.success_rate": ">= baseline - 1%"})
    write_side(folder / "slow", SLOW[:2])
    code, out, err = kfp_perf("validate", "s.json", "--baseline", "slow")
    assert (code, err) == (0, "")
    lines = [line.removeprefix("baseline: ") for line in out.splitlines() if line.startswith("baseline: ")]
    assert lines[0] == "run.visible.mean is 100 s in 2 executions, so <= baseline + 10% is 111 s"
    assert lines[1] == "run.success_rate is 100 % in 2 executions, so >= baseline - 1% is 99 %"
    assert any("the scenario file differs" in line for line in lines[2:])
    assert any("has 2 of at least 3 executions" in line for line in lines[2:])


def test_validate_says_that_a_baseline_is_needed_or_not(folder: Path, kfp_perf: KfpPerf) -> None:
    write_scenario(folder, RELATIVE)
    code, out, _ = kfp_perf("validate", "s.json")
    assert code == 0
    assert "baseline: none is given for 1 relative threshold, so `run` needs --baseline FOLDER" in out
    assert "which is accepted" in kfp_perf("validate", "s.json", "--undecided", "pass")[1]
    write_scenario(folder, {"run.failed": "== 0"})
    assert "baseline" not in kfp_perf("validate", "s.json")[1]
    write_side(folder / "slow", SLOW)
    assert "no threshold is relative to it" in kfp_perf("validate", "s.json", "--baseline", "slow")[1]


@pytest.mark.parametrize("command", ["run", "validate"])
@pytest.mark.parametrize("thresholds", [RELATIVE, {"run.failed": "== 0"}])
@pytest.mark.parametrize(
    ("baseline", "what"),
    [("nowhere", "nowhere: does not exist"), ("s.json", "s.json: is not"), ("empty", "empty: ")],
)
def test_a_baseline_is_checked_before_anything_is_sent(
    folder: Path, kfp_perf: KfpPerf, command: str, thresholds: dict[str, str], baseline: str, what: str
) -> None:
    write_scenario(folder, thresholds)
    (folder / "empty").mkdir()
    code, _, err = kfp_perf(command, "s.json", "--host", "http://127.0.0.1:9", "--baseline", baseline)
    assert code == 2
    assert what in err
    assert not (folder / "results").exists()


def test_a_baseline_without_the_metric_or_the_scenario_fails_validation(
    folder: Path, kfp_perf: KfpPerf
) -> None:
    write_side(folder / "slow", SLOW)
    write_scenario(folder, {"api.GetRun.latency.p95": "<= baseline + 10%"})
    code, _, err = kfp_perf("validate", "s.json", "--baseline", "slow")
    assert code == 2
    assert "has no values of api.GetRun.latency.p95" in err
