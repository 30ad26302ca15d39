from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from kfp_perf.errors import InputError
from kfp_perf.result.files import SCHEMA_VERSION
from kfp_perf.result.journal import Journal
from kfp_perf.result.reader import TestResult
from kfp_perf.result.records import Outcome, RunRecord
from kfp_perf.result.result_writer import ResultWriter
from kfp_perf.result.scenario_writer import ScenarioInfo, ScenarioWriter

NOON = 1_764_072_000.0  # 2025-11-25T12:00:00Z


def test_a_folder_is_named_by_time_and_test_and_latest_points_to_it(tmp_path: Path) -> None:
    result = ResultWriter.create(tmp_path / "results", "my test/../x", NOON)
    assert result.path.name == "20251125T120000Z-my-test-..-x"
    assert result.path.parent == tmp_path / "results"
    assert (tmp_path / "results" / "latest").resolve() == result.path
    second = ResultWriter.create(tmp_path / "results", "my test/../x", NOON)
    assert second.path.name.endswith("-x-2")
    assert (tmp_path / "results" / "latest").resolve() == second.path


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    result = ResultWriter.create(tmp_path, "t", NOON)
    result.save_given({"name": "t", "scenarios": [{"name": "night ly/x", "folder": "night-ly-x"}]})
    folder = result.scenario_folder("night ly/x")
    assert folder == result.path / "scenarios" / "night-ly-x"
    writer = ScenarioWriter(folder, NOON)
    record = RunRecord(
        scenario="night ly/x", name="r-0", run_id="id", outcome=Outcome.SUCCEEDED, due=NOON, sent=NOON + 1
    )
    info = ScenarioInfo(
        name="night ly/x", mode="PIPELINE_RUN", started=NOON, warnings=("w",), custom={"a": 1}
    )
    writer.info(info)
    writer.run(record)
    writer.run(RunRecord(scenario="night ly/x", name="r-1", due=NOON))
    writer.close()
    Journal(folder / "journal.jsonl", "http://kfp").close()
    result.save_health({"over": True})
    result.save({"name": "t", "total": {}})
    opened = TestResult.open(tmp_path / "latest")
    assert opened.document == {"schema_version": SCHEMA_VERSION, "name": "t", "total": {}}
    assert opened.given["name"] == "t"
    assert opened.health == {"over": True}
    (files,) = opened.scenarios
    assert files.info == info
    runs = list(opened.runs())
    assert runs[0] == record
    assert [run.created for run in runs] == [True, False]
    assert opened.journal_paths == [tmp_path / "latest" / "scenarios" / "night-ly-x" / "journal.jsonl"]


def test_a_folder_may_be_named_by_text(tmp_path: Path) -> None:
    result = ResultWriter.create(tmp_path, "t", NOON)
    result.save_given({"name": "t", "scenarios": []})
    opened = TestResult.open(str(result.path))
    assert (opened.path, opened.given["name"]) == (result.path, "t")


def test_scenarios_are_in_the_order_of_the_test_and_by_name_where_that_is_lost(tmp_path: Path) -> None:
    result = ResultWriter.create(tmp_path, "t", NOON)
    for name in ("b", "a"):
        ScenarioWriter(result.scenario_folder(name), NOON).close()
    result.save_given({"scenarios": [{"name": name, "folder": name} for name in ("b", "a")]})
    assert [one.info.name for one in TestResult.open(result.path).scenarios] == ["b", "a"]
    (result.path / "given.json").unlink()
    assert [one.info.name for one in TestResult(result.path).scenarios] == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "holds no result"),
        (b'{"schema_version": 2, "na', "cut short"),
        (b"[]", "cannot be read"),
        (b"{}", "no schema_version"),
        (b'{"schema_version": 1}', "development version of kfp-perf"),
        (json.dumps({"schema_version": SCHEMA_VERSION + 1}).encode(), "newer kfp-perf"),
    ],
)
@pytest.mark.parametrize("file", ["result.json", "given.json"])
def test_a_folder_without_a_readable_result_is_refused_in_words(
    tmp_path: Path, file: str, content: bytes | None, words: str
) -> None:
    if content is not None:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(InputError, match=words):
        TestResult.open(tmp_path)


def test_a_folder_of_schema_1_without_a_result_is_recognised_by_its_files(tmp_path: Path) -> None:
    (tmp_path / "runs.jsonl").write_text("")
    with pytest.raises(InputError, match="schema 1"):
        TestResult.open(tmp_path)


def test_a_test_that_did_not_reach_its_end_has_no_document(tmp_path: Path) -> None:
    result = ResultWriter.create(tmp_path, "t", NOON)
    with pytest.raises(InputError, match="holds no result"):
        TestResult.open(result.path)
    result.save_given({"name": "t"})
    opened = TestResult.open(result.path)
    assert opened.document == {}
    assert opened.given["name"] == "t"
    assert opened.health == {}


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is not a folder"):
        TestResult.open(tmp_path / "file")
    with pytest.raises(InputError, match="does not exist"):
        TestResult.open(tmp_path / "nothing")


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="--results"):
        ResultWriter.create(tmp_path / "file", "t", NOON)
    with pytest.raises(InputError, match="--results"):
        ResultWriter.create(tmp_path / "file" / "below", "t", NOON)
    if os.geteuid():
        (tmp_path / "closed").mkdir(mode=0o500)
        with pytest.raises(InputError, match="cannot be written"):
            ResultWriter.create(tmp_path / "closed", "t", NOON)


def test_a_file_named_latest_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    ResultWriter.create(tmp_path, "t", NOON)
    assert not (tmp_path / "latest").is_symlink()


def test_a_figure_is_not_lost_where_the_folder_is_full_or_gone(tmp_path: Path) -> None:
    result = ResultWriter.create(tmp_path, "t", NOON)
    shutil.rmtree(result.path)
    with pytest.raises(InputError, match=r"cannot be written: No such file") as caught:
        result.save({"name": "t"})
    found = re.search(r"It is in (\S+)\. Move", str(caught.value))
    assert found
    rescued = Path(found[1])
    assert json.loads(rescued.read_text())["name"] == "t"
    rescued.unlink()
    result.save_health({"over": True})  # what is only for a test that was killed ends none


def test_one_odd_value_does_not_lose_the_others(tmp_path: Path) -> None:
    result = ResultWriter.create(tmp_path, "t", NOON)
    saved = result.save(
        {"name": "t", "path": "a\udcff.json", "odd": {("a", 1): [tmp_path, None, 1.5, True]}, "total": {}}
    )
    document = TestResult.open(tmp_path / "latest").document
    assert document == saved
    assert document["path"] == "a?.json"
    assert document["odd"] == {"('a', 1)": [str(tmp_path), None, 1.5, True]}
    assert document["total"] == {}
