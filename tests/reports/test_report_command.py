from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

import pytest
from sample_results import Load, SampleTest

from kfp_perf.cli import outcome
from kfp_perf.cli.report import report
from kfp_perf.reports import REPORTS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kfp_perf.result.folder import TestResult


@pytest.fixture
def result(sample: Callable[[SampleTest], TestResult]) -> TestResult:
    return sample(SampleTest(loads=(Load("steady", 20, 0.0, 60.0, 10.0),)))


@pytest.fixture
def command(capfdbinary: Any) -> Callable[..., tuple[int, str, str]]:
    def call(*arguments: object) -> tuple[int, str, str]:
        capfdbinary.readouterr()
        code = outcome(["report", *map(str, arguments)])
        out, err = capfdbinary.readouterr()
        return code, out.decode(), err.decode()

    return call


Command = "Callable[..., tuple[int, str, str]]"


def test_the_help_names_every_report(command: Any) -> None:
    code, out, _ = command("--help")
    assert code == 0
    told = re.findall(r"^  (\w+) {2,}(\S.*)$", out.split("Without")[0], re.MULTILINE)
    assert told == [(name, one.what) for name, one in REPORTS.items()]
    assert report.help is not None


@pytest.mark.parametrize(("name", "expected"), [("console", "steady"), ("markdown", "###"), ("json", "{")])
def test_texts_go_to_the_standard_output(command: Any, result: TestResult, name: str, expected: str) -> None:
    code, out, err = command(result.path, "--format", name)
    assert (code, err) == (0, "")
    assert expected in out


def test_pages_go_into_the_result_and_are_named(command: Any, result: TestResult) -> None:
    assert command(result.path, "-f", "html") == (0, f"{result.path / 'report.html'}\n", "")
    code, out, _ = command(result.path, "-f", "csv")
    assert code == 0
    assert out.split() == [
        str(result.path / "csv" / f"{name}.csv") for name in ("runs", "operations", "series", "thresholds")
    ]


def test_a_report_goes_where_it_is_told(command: Any, result: TestResult, tmp_path: Path) -> None:
    assert command(result.path, "-f", "html", "-o", tmp_path / "deep" / "x.html")[0] == 0
    assert (tmp_path / "deep" / "x.html").read_text().startswith("<!doctype html>")
    assert command(result.path, "-f", "markdown", "-o", tmp_path)[0] == 0
    assert (tmp_path / "report.md").exists()
    assert command(result.path, "-f", "svg", "-o", tmp_path / "charts")[0] == 0
    assert (tmp_path / "charts" / "phases.svg").exists()
    assert command(result.path, "-f", "html", "-o", "-")[1].startswith("<!doctype html>")
    assert command(result.path, "-f", "console", "-o", tmp_path / "s.txt")[0] == 0


def edited(path: Path, **changes: Any) -> None:
    file = path / "result.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: edited(path, schema_version=99), "newer kfp-perf"),
        (lambda path: edited(path, schema_version=0), "no schema_version"),
        (lambda path: edited(path, schema_version="1"), "no schema_version"),
        (lambda path: (path / "result.json").write_text('{"name": "x", "ver'), "cut short"),
        (lambda path: (path / "result.json").write_text("[]"), "cannot be read"),
        (lambda path: (path / "result.json").write_text(""), "cannot be read"),
        (lambda path: (path / "result.json").write_bytes(b"\xff\xfe"), "cannot be read"),
        (lambda path: (path / "result.json").unlink(), "did not reach its end"),
        (lambda path: [one.unlink() for one in path.iterdir()], "did not reach its end"),
    ],
    ids=["newer", "older", "odd version", "cut", "a list", "empty", "not text", "gone", "empty folder"],
)
@pytest.mark.parametrize("name", ["console", "html", "csv"])
def test_what_is_no_result_is_said_without_a_traceback(
    command: Any, result: TestResult, spoil: Any, said: str, name: str
) -> None:
    spoil(result.path)
    code, out, err = command(result.path, "-f", name)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


@pytest.mark.parametrize("name", REPORTS)
def test_a_document_that_lacks_nearly_everything_is_drawn_or_said(
    command: Any, result: TestResult, name: str
) -> None:
    (result.path / "result.json").write_text(
        '{"schema_version": 1, "total": {"api": {"load": {"GetRun": 5}}}}'
    )
    (result.path / "runs.jsonl").write_text('{"scenario": 1}\nnot json\n{"scenario": "a", "na')
    code, _, err = command(result.path, "-f", name)
    assert code in {0, 2}
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "document",
    [
        {"total": {"runs": {"duration_seconds": "long"}, "api": {}}},
        {"total": {"runs": {"created": "x"}, "api": {}}},
        {"scenarios": [{"metrics": {"runs": 5, "phases": {"queue": {"mean": "x"}}}}]},
        {"thresholds": [{"value": {}}], "generator": {"process": {"cpu": {"mean": "x"}}}},
    ],
)
def test_a_document_of_nonsense_gets_exit_2_or_a_report(
    command: Any, result: TestResult, document: Any
) -> None:
    edited(result.path, **document)
    for name in ("console", "html", "markdown"):
        code, _, err = command(result.path, "-f", name)
        assert code in {0, 2}
        assert "Traceback" not in err


def test_a_report_of_an_unknown_kind_is_answered_with_the_known_ones(
    command: Any, result: TestResult
) -> None:
    code, _, err = command(result.path, "--format", "pdf")
    assert code == 2
    assert "console, html, markdown" in err


def test_several_files_fit_no_pipe(command: Any, result: TestResult) -> None:
    code, _, err = command(result.path, "--format", "csv", "--output", "-")
    assert code == 2
    assert "several files" in err


@pytest.mark.parametrize("output", ["file/below", "/proc/nothing/here"])
def test_a_place_that_cannot_be_written_is_said(
    command: Any, result: TestResult, tmp_path: Path, output: str
) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = command(result.path, "-f", "html", "-o", tmp_path / output)
    assert code == 2
    assert "cannot be written" in err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_rights_is_said(command: Any, result: TestResult) -> None:
    (result.path / "result.json").chmod(0)
    code, _, err = command(result.path)
    assert code == 2
    assert "Permission denied" in err
