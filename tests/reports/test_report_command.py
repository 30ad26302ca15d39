from __future__ import annotations

import json
import os
import pwd
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from sample_results import Load, SampleTest

from kfp_perf.cli import outcome
from kfp_perf.cli.report import report
from kfp_perf.reports import REPORTS
from kfp_perf.reports.tables import TABLES
from kfp_perf.result.journal import Journal, ObjectKind
from kfp_perf.result.scenario_writer import ScenarioWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kfp_perf.result.reader import TestResult


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


RUNS, SERIES = "scenarios/steady/runs.jsonl", "scenarios/steady/series.hlog"


def test_the_help_names_every_report(command: Any) -> None:
    code, out, _ = command("--help")
    assert code == 0
    formats = out.split("Formats:")[1].split("Options:")[0]
    listed = re.findall(r"^  (\w+) {2,}(\S.*)$", formats, re.MULTILINE)
    assert listed == [(name, one.what) for name, one in REPORTS.items()]
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
    assert out.split() == [str(result.path / "csv" / f"{name}.csv") for name in TABLES]


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
        (lambda path: edited(path, schema_version=1), "schema 1"),
        (lambda path: edited(path, schema_version="1"), "no schema_version"),
        (lambda path: (path / "result.json").write_text('{"name": "x", "ver'), "cut short"),
        (lambda path: (path / "result.json").write_text("[]"), "cannot be read"),
        (lambda path: (path / "result.json").write_text(""), "cannot be read"),
        (lambda path: (path / "result.json").write_bytes(b"\xff\xfe"), "cannot be read"),
        (lambda path: [(path / name).unlink() for name in ("result.json", "given.json")], "holds no result"),
    ],
    ids=["newer", "older", "schema 1", "odd version", "cut", "a list", "empty", "not text", "empty folder"],
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


def test_what_a_killed_test_left_is_said_with_the_command_that_deletes_it(
    command: Any, result: TestResult
) -> None:
    (result.path / "result.json").unlink()
    given = json.loads((result.path / "given.json").read_text())
    given["target"] = given.get("target", {}) | {"emulator_profile": None}
    (result.path / "given.json").write_text(json.dumps(given))
    journal = Journal(result.scenarios[0].folder / "journal.jsonl", "http://kfp")
    journal.intend(ObjectKind.RUN, "kfp-perf-1")
    journal.close()
    _, _, err = command(result.path, "-f", "json")
    assert "1 object may still be on the server" in err
    assert f"kfp-perf cleanup {result.path}" in err


@pytest.mark.parametrize("name", ["console", "html", "csv", "json"])
def test_a_test_that_did_not_reach_its_end_is_drawn_from_what_there_is(
    command: Any, result: TestResult, name: str
) -> None:
    (result.path / "result.json").unlink()
    (result.path / "health.json").unlink()
    writer = ScenarioWriter(result.scenarios[0].folder, 0.0)
    writer.info(msgspec.structs.replace(result.scenarios[0].info, ended=False, measured=False, finished=0.0))
    writer.close()
    code, out, err = command(result.path, "-f", name, "-o", "-" if name != "csv" else result.path / "csv")
    assert code == 0
    assert err.startswith("kfp-perf: the test did not reach its end; its files are complete until 2026-")
    assert "steady" in out or name == "csv"
    if name in {"console", "html", "json"}:
        assert "killed before its end" in " ".join(out.split())


@pytest.mark.parametrize("name", REPORTS)
def test_a_document_that_lacks_nearly_everything_is_drawn_or_said(
    command: Any, result: TestResult, name: str
) -> None:
    (result.path / "result.json").write_text(
        '{"schema_version": 2, "total": {"api": {"load": {"GetRun": 5}}}}'
    )
    (result.path / RUNS).write_text('{"scenario": 1}\nnot json\n{"scenario": "a", "na')
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


@pytest.fixture
def as_nobody(result: TestResult) -> Iterator[Callable[..., Any]]:
    """Spoil the rights of a file of a result that all may reach, and call as somebody who is not root."""
    with tempfile.TemporaryDirectory() as temporary:
        Path(temporary).chmod(0o755)
        folder = shutil.copytree(result.path, Path(temporary) / "result")
        before = os.geteuid()

        def call(file: str, do: Callable[[Path], Any]) -> Any:
            (folder / file).chmod(0)
            try:
                if before == 0:
                    os.seteuid(pwd.getpwnam("nobody").pw_uid)
                return do(folder)
            finally:
                os.seteuid(before)
                (folder / file).chmod(0o755)

        yield call


@pytest.mark.parametrize(
    ("file", "name", "said"),
    [
        (".", "console", "cannot be read: Permission denied"),
        ("result.json", "html", "Permission denied"),
        (RUNS, "csv", "runs.jsonl: cannot be read: Permission denied"),
        (SERIES, "csv", "series.hlog: cannot be read: Permission denied"),
    ],
)
def test_a_result_without_rights_is_said(
    command: Any, result: TestResult, as_nobody: Any, file: str, name: str, said: str
) -> None:
    command(result.path, "-f", name, "-o", result.path / "drawn")  # imports what nobody may not
    code, out, err = as_nobody(file, lambda folder: command(folder, "-f", name))
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


@pytest.mark.parametrize("file", [RUNS, SERIES])
def test_a_page_says_what_it_had_no_rights_to(
    command: Any, result: TestResult, as_nobody: Any, file: str
) -> None:
    command(result.path, "-f", "html", "-o", "-")
    code, out, _ = as_nobody(file, lambda folder: command(folder, "-f", "html", "-o", "-"))
    assert code == 0
    assert f"This result is not whole. It lacks {Path(file).name} (Permission denied)" in out


@pytest.mark.parametrize(
    ("file", "said"),
    [(RUNS, "of 20 runs (in runs.jsonl)"), (SERIES, "requests (in series.hlog)")],
)
def test_a_page_says_how_much_is_missing_of_a_file_that_was_cut(
    command: Any, result: TestResult, file: str, said: str
) -> None:
    content = (result.path / file).read_bytes()
    (result.path / file).write_bytes(content[: len(content) // 2])
    code, out, _ = command(result.path, "-f", "html", "-o", "-")
    assert code == 0
    assert said in re.findall(r"This result is not whole\.[^<]*", out)[0]


@pytest.mark.parametrize(("file", "table"), [(RUNS, "runs"), (SERIES, "series")])
def test_tables_are_drawn_from_what_is_there(command: Any, result: TestResult, file: str, table: str) -> None:
    (result.path / file).unlink()
    code, _, err = command(result.path, "-f", "csv")
    assert (code, err) == (0, "")
    rows = {name: (result.path / "csv" / f"{name}.csv").read_text().count("\n") for name in TABLES}
    assert rows[table] == 1, "the names of its columns"
    assert all(rows[name] > 1 for name in {"runs", "tasks", "operations", "series"} - {table})


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
@pytest.mark.parametrize(
    "arguments",
    [
        *(("report", "RESULT", *more) for more in ((), ("-f", "markdown"), ("-f", "html"))),
        *(("schema",), ("validate", "smoke.json"), ("cleanup", "RESULT")),
    ],
)
def test_a_full_standard_output_is_said(result: TestResult, arguments: tuple[str, ...]) -> None:
    Journal(result.scenarios[0].folder / "journal.jsonl", "http://kfp").close()
    with Path("/dev/full").open("wb") as full:
        code, err = program(*(str(result.path) if one == "RESULT" else one for one in arguments), stdout=full)
    assert code == 2
    assert "standard output: cannot be written: No space left on device" in err
    assert "Traceback" not in err


def test_a_reader_who_has_seen_enough_is_no_error(result: TestResult) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as pipe:  # noqa: PTH123  a descriptor, not a path
        assert program("report", str(result.path), "-f", "html", "-o", "-", stdout=pipe) == (0, "")


def test_a_full_disk_leaves_the_old_report_and_is_said(result: TestResult) -> None:
    (result.path / "report.html").write_text("the old one")
    code, err = program(
        "report", str(result.path), "-f", "html", stdout=subprocess.DEVNULL, most_bytes=20_000
    )
    assert code == 2
    assert "cannot be written: File too large" in err
    assert (result.path / "report.html").read_text() == "the old one"
    assert not [one for one in result.path.iterdir() if one.name.endswith(".new")]


def program(*arguments: str, stdout: Any, most_bytes: int = 0) -> tuple[int, str]:
    """Run kfp-perf; `most_bytes` is the size of the largest file. Returns the exit code and the complaints."""

    def limit() -> None:
        if most_bytes:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    command = [sys.executable, "-B", "-m", "kfp_perf", *arguments]
    done = subprocess.run(
        command, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False, preexec_fn=limit
    )
    return done.returncode, done.stderr


def test_a_test_whose_result_alone_is_missing_is_complete(result: TestResult, command: Any) -> None:
    (result.path / "result.json").unlink()
    code, out, err = command(result.path)
    assert code == 0
    assert err.startswith("kfp-perf: the test has no result.json; its files are complete\n")
    assert "steady" in out
