"""What `run` and `compare` write for CI: reports at the end, and the summary and annotations of GitHub Actions."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest
from made_executions import write_side

from kfp_perf.reports.github import MOST_SUMMARY_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    KfpPerf = Callable[..., tuple[int, str, str]]


@pytest.fixture
def scenario(folder: Path) -> str:
    """A test of a second with a threshold that cannot hold, in a folder of a repository."""
    (folder / "perf").mkdir()
    reads = {
        "name": "reads",
        "mode": "RANDOM_GETS",
        "runTime": "500ms",
        "mix": {"ListRuns": 1},
        "thinkTime": "20ms",
        "thresholds": {"api.ListRuns.latency.mean": "< 1us", "api.ListRuns.error_rate": "<= 50%"},
    }
    (folder / "perf" / "reads.json").write_text(json.dumps([reads]))
    return "perf/reads.json"


@pytest.fixture
def summary(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment of a step of GitHub Actions; returns the file of its summary."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(folder))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder / "summary.md"))
    return folder / "summary.md"


def commands(err: str) -> list[str]:
    return [line for line in err.splitlines() if line.startswith("::")]


def test_reports_are_written_at_the_end_of_a_test_that_failed(
    folder: Path, kfp_perf: KfpPerf, scenario: str, emulator_url: str
) -> None:
    wanted = ["junit=out/junit.xml", "openmetrics=metrics.txt", "csv=tables"]
    flags = [part for one in wanted for part in ("--report", one)]
    code, _, err = kfp_perf("run", scenario, "--host", emulator_url, "-q", *flags)
    assert code == 1
    assert commands(err) == [], "nothing for GitHub where there is no GitHub"
    failures = [
        case.get("name")
        for case in ET.parse(folder / "out" / "junit.xml").iter("testcase")
        if case.find("failure") is not None
    ]
    assert failures == ["api.ListRuns.latency.mean < 1us"]
    assert 'kfp_perf_exit_code{test="reads"} 1' in (folder / "metrics.txt").read_text()
    assert (folder / "tables" / "thresholds.csv").exists()


def test_wanted_reports_are_checked_before_the_test(folder: Path, kfp_perf: KfpPerf, scenario: str) -> None:
    (folder / "file").write_text("")
    code, _, err = kfp_perf(
        *("run", scenario, "--emulator"),
        *("--report", "junitt=a.xml", "--report", "junit", "--report", "junit=file/below/junit.xml"),
    )
    assert code == 2
    assert "there is no report 'junitt'" in err
    assert "'junit' names no file" in err
    assert "file/below/junit.xml: cannot be written" in err
    assert not (folder / "results").exists()


def test_a_report_that_can_no_longer_be_written_keeps_the_exit_code(
    folder: Path, kfp_perf: KfpPerf, scenario: str, emulator_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kfp_perf.cli.written_reports._unwritable", lambda _: None)
    (folder / "file").write_text("")
    code, out, err = kfp_perf(
        *("run", scenario, "--host", emulator_url, "-q"),
        *("--report", "junit=file/junit.xml", "--report", "markdown=report.md"),
    )
    assert code == 1
    assert "Verdict failed" in out
    assert "file/junit.xml: cannot be written" in err
    assert (folder / "report.md").exists(), "the others are written all the same"


def test_a_step_of_github_gets_a_summary_and_annotations(
    kfp_perf: KfpPerf, scenario: str, emulator_url: str, summary: Path
) -> None:
    summary.write_text("before\n")
    code, out, err = kfp_perf("run", scenario, "--host", emulator_url, "-q")
    assert code == 1
    (one,) = (line for line in commands(err) if line.startswith("::error"))
    assert one.startswith(
        "::error title=reads%3A failed,file=perf/reads.json,line=1::reads: api.ListRuns.latency.mean is"
    )
    assert "::" not in out
    before, title, *_ = summary.read_text().splitlines()
    assert (before, title) == ("before", "### ❌ reads: failed")


@pytest.mark.parametrize("state", ["missing", "a folder", "full"])
def test_a_summary_that_cannot_be_written_changes_nothing(
    kfp_perf: KfpPerf, scenario: str, emulator_url: str, summary: Path, state: str
) -> None:
    if state == "full":
        summary.write_bytes(b"x" * MOST_SUMMARY_BYTES)
    elif state == "a folder":
        summary.mkdir()
    code, out, err = kfp_perf("run", scenario, "--host", emulator_url, "-q")
    assert code == 1
    assert "Verdict failed" in out
    assert ("the summary of the step could not be written" in err) == (state == "a folder")


def test_wrong_input_is_an_annotation_at_its_file(folder: Path, kfp_perf: KfpPerf, summary: Path) -> None:
    (folder / "perf").mkdir()
    (folder / "perf" / "bad.json").write_text('[{"mode": "RANDOM_GETS", "runTime": -1, "foo": 1}]')
    for command in ("validate", "run"):
        code, _, err = kfp_perf(command, "perf/bad.json")
        assert code == 2
        first, second = commands(err)
        assert first.startswith(
            "::error title=kfp-perf,file=perf/bad.json,line=1::"
            "perf/bad.json:1:26: $[0].runTime: must be greater than 0"
        )
        assert "$[0].foo" in second
    assert not summary.exists()


def test_a_comparison_is_shown_too(folder: Path, kfp_perf: KfpPerf, summary: Path) -> None:
    write_side(folder / "a", [10.0, 10.2, 9.9, 10.1])
    write_side(folder / "b", [11.5, 11.6, 11.4, 11.7], first_minute=1)
    code, out, err = kfp_perf("compare", "a", "b", "-f", "json", "--fail-on-regression", "5%")
    assert code == 1
    assert json.loads(out)["verdict"] == "slower", "annotations are not in the output"
    errors = [line for line in commands(err) if line.startswith("::error")]
    assert errors == ["::error title=b%3A slower::run.visible.mean: slower by 14.9 %25, more than 5.0 %25"]
    assert "### ❌ Comparison: slower" in summary.read_text()
    assert kfp_perf("compare", "a", "a")[0] == 2


def test_a_repetition_writes_reports_of_all_its_executions(
    folder: Path, kfp_perf: KfpPerf, scenario: str, emulator_url: str, summary: Path
) -> None:
    code, _, err = kfp_perf(
        *("run", scenario, "--host", emulator_url, "-q", "--repeat", "2", "--no-warmup", "--pause", "0s"),
        *("--report", "junit=junit.xml", "--report", "openmetrics=metrics.txt"),
    )
    assert code == 1
    failed = [
        case.get("classname")
        for case in ET.parse(folder / "junit.xml").iter("testcase")
        if case.find("failure") is not None
    ]
    assert failed == ["reads.01.reads", "reads.02.reads"]
    text = (folder / "metrics.txt").read_text()
    assert 'kfp_perf_exit_code{test="reads",execution="02"} 1' in text
    errors = [line for line in commands(err) if line.startswith("::error")]
    assert [line.partition("::execution ")[2][:3] for line in errors] == ["01:", "02:"]
    assert summary.read_text().startswith("### ")
    code, _, err = kfp_perf("run", scenario, "--emulator", "--repeat", "2", "--report", "svg=charts")
    assert code == 2
    assert "there is no report 'svg'" in err
