from __future__ import annotations

import copy
import csv
import importlib.util
import io
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sample_results import Load, SampleTest, make_result

from kfp_perf.errors import InputError
from kfp_perf.observe import PHASES
from kfp_perf.reports import REPORTS, write_report
from kfp_perf.reports.console import draw_console, print_summary
from kfp_perf.reports.markdown import draw_markdown
from kfp_perf.reports.story import story_of
from kfp_perf.reports.tables import COLUMNS, TABLES
from kfp_perf.result.whole_file import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kfp_perf.result.reader import TestResult

_OPTIONAL = {"parquet": "pyarrow", "png": "vl_convert"}


def draw(name: str, result: TestResult) -> Mapping[str, bytes]:
    package = _OPTIONAL.get(name)
    if package and importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    return REPORTS[name].draw(result)


@pytest.mark.parametrize("name", REPORTS)
def test_each_report_is_drawn_from_a_result_alone(name: str, nightly: TestResult) -> None:
    files = draw(name, nightly)
    assert files
    assert all(files.values())


@pytest.mark.parametrize("name", REPORTS)
def test_each_report_takes_a_test_of_which_nothing_came(name: str, empty: TestResult) -> None:
    draw(name, empty)


def test_a_report_of_text_is_one_file(nightly: TestResult) -> None:
    for report in REPORTS.values():
        if report.is_text:
            assert len(report.draw(nightly)) == 1


def test_tables_have_a_row_for_each(nightly: TestResult) -> None:
    files = REPORTS["csv"].draw(nightly)
    rows = {name: list(csv.DictReader(io.StringIO(content.decode()))) for name, content in files.items()}
    assert set(rows) == {f"{name}.csv" for name in TABLES}
    assert len(rows["runs.csv"]) == 360
    run = rows["runs.csv"][0]
    assert float(run["phase_queue_seconds"]) > 0
    assert run["outcome"] in {"succeeded", "failed", "unfinished"}
    ended = [row["name"] for row in rows["runs.csv"] if row["finished_at"]]
    assert [row["run"] for row in rows["tasks.csv"]] == [name for name in ended for _ in range(3)]
    assert float(rows["tasks.csv"][0]["ended_at"]) > float(rows["tasks.csv"][0]["started_at"])
    operations = {(row["scenario"], row["purpose"], row["operation"]): row for row in rows["operations.csv"]}
    whole = operations["", "load", "CreateRun"]
    told = nightly.document["total"]["api"]["load"]["CreateRun"]
    assert int(whole["count"]) == told["count"]
    assert float(whole["latency_p90_seconds"]) == told["latency_seconds"]["p90"]
    assert told["latency_seconds"]["not_reached"] == ["p99", "p99.9", "max"]
    assert whole["latency_p99_seconds"] == ""
    assert float(whole["latency_longest_answered_seconds"]) == told["latency_seconds"]["longest_answered"]
    assert int(whole["attempts"]) == told["attempts"] > told["count"]
    created = [row for row in rows["series.csv"] if row["operation"] == "CreateRun"]
    assert {row["measure"] for row in created} == {"latency", "failed", "service"}
    counts = [int(row["count"]) for row in created if row["measure"] != "service"]
    assert sum(counts) == told["count"]


@pytest.mark.parametrize("name", TABLES)
def test_a_table_without_rows_has_its_columns_all_the_same(
    name: str, nightly: TestResult, sample: Callable[[SampleTest], TestResult]
) -> None:
    result = sample(SampleTest())
    (head,) = csv.reader(io.StringIO(REPORTS["csv"].draw(result)[f"{name}.csv"].decode()))
    assert head == list(COLUMNS[name])
    with_rows = REPORTS["csv"].draw(nightly)[f"{name}.csv"].decode()
    assert with_rows.startswith(",".join(head)), "they come first, and in the same order"
    not_in_the_sample = (
        {"judged", "error", "not_reached", "value_low", "value_high"} if name == "thresholds" else set()
    )
    told = {column for row in TABLES[name](nightly) for column in row}
    assert set(head) - told <= not_in_the_sample


def test_parquet_without_rows_has_its_columns_all_the_same(
    sample: Callable[[SampleTest], TestResult],
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    for name, content in REPORTS["parquet"].draw(sample(SampleTest())).items():
        table = parquet.read_table(io.BytesIO(content))
        assert table.num_rows == 0
        assert tuple(table.column_names) == COLUMNS[name.removesuffix(".parquet")]


def test_failed_requests_have_a_table_and_a_note(nightly: TestResult) -> None:
    text = REPORTS["csv"].draw(nightly)["errors.csv"].decode()
    told = nightly.document["total"]["api"]["load"]["CreateRun"]
    rows = [row for row in csv.DictReader(io.StringIO(text)) if not row["scenario"]]
    assert [(row["kind"], row["operation"], row["count"]) for row in rows if row["purpose"] == "runs"] == [
        ("failed", "", str(nightly.document["total"]["runs"]["failed"]))
    ]
    assert [row for row in rows if row["purpose"] == "load"] == [
        {
            "scenario": "",
            "purpose": "load",
            "operation": "CreateRun",
            "kind": "503",
            "message": "the API server is overloaded",
            "count": str(told["errors"]),
        }
    ]
    summary = " ".join(REPORTS["console"].draw(nightly)["summary.txt"].decode().split())
    assert f"CreateRun failed {told['errors']} times" in summary
    assert "mostly: the API server is overloaded" in summary
    assert "the API server is overloaded" in REPORTS["markdown"].draw(nightly)["report.md"].decode()


def test_failures_of_calls_beside_the_load_are_told_as_such(nightly: TestResult) -> None:
    document = copy.deepcopy(nightly.document)
    api = document["total"]["api"]
    api["observe"] = {"ListRuns": {**api["load"]["CreateRun"], "errors": 1, "retries": 1}}
    told = REPORTS["console"].draw(type(nightly)(nightly.path, document))["summary.txt"].decode()
    assert "following runs: ListRuns failed 1 time (" in " ".join(told.split())


def runs_csv(folder: Path, result: TestResult, line: bytes) -> str:
    """The table of the runs of a result that has only this one."""
    scenario = folder / "scenarios" / "a"
    scenario.mkdir(parents=True)
    (scenario / "runs.jsonl").write_bytes(line)
    return REPORTS["csv"].draw(type(result)(folder, result.document))["runs.csv"].decode()


def test_a_name_that_looks_like_a_formula_is_none(nightly: TestResult, tmp_path: Path) -> None:
    line = b'{"scenario": "=1+1", "name": "@SUM(A1)", "due": 1.0, "error": "+1"}\n'
    text = runs_csv(tmp_path, nightly, line)
    assert "'=1+1" in text
    assert "'@SUM(A1)" in text
    assert "'+1" in text


def test_a_text_that_begins_with_a_minus_is_no_formula_and_a_negative_number_stays_one(
    nightly: TestResult, tmp_path: Path
) -> None:
    text = runs_csv(tmp_path, nightly, b'{"scenario": "-1+cmd|x", "name": "r", "due": -1.5}\n')
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["scenario"], row["due"]) == ("'-1+cmd|x", "-1.5")


def test_parquet_holds_the_same_tables(nightly: TestResult) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    files = REPORTS["parquet"].draw(nightly)
    table = parquet.read_table(io.BytesIO(files["runs.parquet"]))
    assert table.num_rows == 360
    assert "phase_execute_seconds" in table.column_names
    tasks = parquet.read_table(io.BytesIO(files["tasks.parquet"])).to_pylist()
    assert [row["task"] for row in tasks[:3]] == ["load", "check", "train"]
    finished = [row for row in table.to_pylist() if row["finished_at"] is not None]
    assert len(tasks) == 3 * len(finished) > 900


def test_json_is_the_document(nightly: TestResult) -> None:
    (text,) = REPORTS["json"].draw(nightly).values()
    assert json.loads(text) == nightly.document


def test_pictures_are_those_of_the_page(nightly: TestResult) -> None:
    files = REPORTS["svg"].draw(nightly)
    assert {"durations.svg", "phases.svg", "throughput.svg", "latency.svg", "run-durations.svg"} <= set(files)
    for content in files.values():
        ET.fromstring(content)


def test_png_are_pictures(nightly: TestResult) -> None:
    assert all(content.startswith(b"\x89PNG") for content in draw("png", nightly).values())


def test_markdown_cannot_be_abused(nightly: TestResult) -> None:
    (content,) = draw_markdown(nightly).values()
    text = content.decode()
    assert "<script>" not in text
    assert r"\<script\>" in text
    assert text.count("<details>") == text.count("</details>") == 3
    assert len(text) < 65_536


def test_markdown_mentions_nobody(nightly: TestResult) -> None:
    document = {**nightly.document, "name": "a @team | `x` **y** #12"}
    (content,) = draw_markdown(type(nightly)(nightly.path, document)).values()
    first = content.decode().splitlines()[0]
    assert "@team" not in first
    assert r"\| \`x\` \*\*y\*\* \#12" in first


def test_a_missing_package_is_said(nightly: TestResult, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(InputError, match=r"extra `parquet`"):
        REPORTS["parquet"].draw(nightly)
    with pytest.raises(InputError, match=r"extra `images`"):
        REPORTS["png"].draw(nightly)


def test_files_are_written_whole_or_not_at_all(
    nightly: TestResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = write_report(nightly, "html", tmp_path / "new" / "folder")
    assert path.read_bytes().endswith(b"</html>\n")

    def full(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, b"something else")
    assert path.read_bytes().endswith(b"</html>\n")
    assert [one.name for one in path.parent.iterdir()] == [path.name]


PAGE = (Path(__file__).parents[2] / "docs" / "report.md").read_text("utf-8")


@pytest.mark.parametrize("name", REPORTS)
def test_the_documentation_has_every_report(name: str) -> None:
    assert f"\n| `{name}` | " in PAGE


def test_the_documentation_has_every_section_and_every_phase(nightly: TestResult) -> None:
    for section in story_of(nightly).sections:
        assert f"\n| {section.title} | " in PAGE
    for phase in PHASES:
        assert f"`{phase}`" in PAGE


@pytest.mark.parametrize("picture", re.findall(r"\((images/[^)]+)\)", PAGE))
def test_pictures_are_small_and_ask_for_nothing(picture: str) -> None:
    content = (Path(__file__).parents[2] / "docs" / picture).read_bytes()
    assert len(content) < 150_000
    if picture.endswith(".svg"):
        assert set(re.findall(rb"https?://[^\s\"')]+", content)) == {b"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("width", [80, 120])
def test_the_summary_of_long_runs_fits_the_terminal(
    width: int, sample: Callable[[SampleTest], TestResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = (Load("every-minute", 40, 0.0, 600.0, 700.0), Load("short", 40, 0.0, 600.0, 20.0))
    text = io.StringIO()
    monkeypatch.setenv("COLUMNS", str(width))
    print_summary(sample(SampleTest(loads=loads)), text)
    lines = text.getvalue().splitlines()
    # The path of the result is in one piece, to be copied.
    assert max(len(line) for line in lines if not line.startswith("Result ")) <= width
    (row,) = [line for line in lines if line.startswith("every-minute ")]
    assert re.search(rf"40 +40 +0 +0( +\d+:\d\d min| +–){{{4 if width >= 100 else 3}}}$", row.rstrip())


@pytest.mark.parametrize("name", ["console", "markdown", "html", "junit", "json"])
def test_a_target_is_called_by_its_name_and_its_address(
    sample: Callable[[SampleTest], TestResult], name: str
) -> None:
    result = sample(SampleTest(loads=(Load("steady", 20, 0.0, 60.0, 10.0),)))
    result.document["target"]["name"] = "staging"
    text = b"".join(draw(name, result).values()).decode()
    expected = {"junit": 'name="target.name" value="staging"', "json": '"name": "staging"'}
    assert expected.get(name, "staging (https://kubeflow.example/pipeline)") in text


@pytest.mark.parametrize("format_name", ["summary", "file"])
def test_the_path_of_a_result_stays_in_one_piece(tmp_path: Path, format_name: str) -> None:
    result = make_result(tmp_path / ("a-long-name-" * 12), SampleTest(loads=(Load("a", 5, 0.0, 5.0, 1.0),)))
    text = io.StringIO()
    if format_name == "summary":
        print_summary(result, text)
    else:
        text.write(draw_console(result)["summary.txt"].decode())
    assert text.getvalue().splitlines()[-1] == f"Result  {result.path}"
