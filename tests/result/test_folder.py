from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from kfp_perf.result.folder import SCHEMA_VERSION, TestResult

from kfp_perf.errors import InputError
from kfp_perf.result.append_file import LineFile
from kfp_perf.result.records import Outcome, RunRecord

FULL = Path("/dev/full")
NOON = 1_764_072_000.0  # 2025-11-25T12:00:00Z


def test_a_folder_is_named_by_time_and_test_and_latest_points_to_it(tmp_path: Path) -> None:
    result = TestResult.create(tmp_path / "results", "my test/../x", NOON)
    assert result.path.name == "20251125T120000Z-my-test-..-x"
    assert result.path.parent == tmp_path / "results"
    assert (tmp_path / "results" / "latest").resolve() == result.path
    second = TestResult.create(tmp_path / "results", "my test/../x", NOON)
    assert second.path.name.endswith("-x-2")
    assert (tmp_path / "results" / "latest").resolve() == second.path
    result.close()
    second.close()


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    result = TestResult.create(tmp_path, "t", NOON)
    record = RunRecord(
        scenario="s", name="r-0", run_id="id", outcome=Outcome.SUCCEEDED, due=NOON, sent=NOON + 1
    )
    result.add_run(record)
    result.add_run(RunRecord(scenario="s", name="r-1", due=NOON))
    result.save({"name": "t", "total": {}})
    result.close()
    opened = TestResult.open(tmp_path / "latest")
    assert opened.document == {"schema_version": SCHEMA_VERSION, "name": "t", "total": {}}
    runs = list(opened.runs())
    assert runs[0] == record
    assert [run.created for run in runs] == [True, False]


def test_a_run_that_was_cut_short_does_not_hide_the_others(tmp_path: Path) -> None:
    result = TestResult.create(tmp_path, "t", NOON)
    result.add_run(RunRecord(scenario="s", name="whole", due=NOON))
    result.close()
    with (result.path / "runs.jsonl").open("ab") as file:
        file.write(b'{"scenario":"s","na')
    assert [run.name for run in result.runs()] == ["whole"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "holds no result"),
        (b'{"schema_version": 1, "na', "cut short"),
        (b"[]", "cannot be read"),
        (b"{}", "no schema_version"),
        (json.dumps({"schema_version": SCHEMA_VERSION + 1}).encode(), "newer kfp-perf"),
    ],
)
def test_a_folder_without_a_readable_result_is_refused_in_words(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    if content is not None:
        (tmp_path / "result.json").write_bytes(content)
    with pytest.raises(InputError, match=words):
        TestResult.open(tmp_path)


def test_a_test_that_did_not_reach_its_end_is_told_from_an_empty_folder(tmp_path: Path) -> None:
    result = TestResult.create(tmp_path, "t", NOON)
    result.close()
    with pytest.raises(InputError, match="did not reach its end"):
        TestResult.open(result.path)


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is not a folder"):
        TestResult.open(tmp_path / "file")
    with pytest.raises(InputError, match="does not exist"):
        TestResult.open(tmp_path / "nothing")


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="--results"):
        TestResult.create(tmp_path / "file", "t", NOON)
    with pytest.raises(InputError, match="--results"):
        TestResult.create(tmp_path / "file" / "below", "t", NOON)
    if os.geteuid():
        (tmp_path / "closed").mkdir(mode=0o500)
        with pytest.raises(InputError, match="cannot be written"):
            TestResult.create(tmp_path / "closed", "t", NOON)


def test_a_file_named_latest_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    TestResult.create(tmp_path, "t", NOON).close()
    assert not (tmp_path / "latest").is_symlink()


def test_a_figure_is_not_lost_where_the_folder_is_full_or_gone(tmp_path: Path) -> None:
    result = TestResult.create(tmp_path, "t", NOON)
    result.close()
    shutil.rmtree(result.path)
    with pytest.raises(InputError, match=r"cannot be written: No such file") as caught:
        result.save({"name": "t"})
    found = re.search(r"It is in (\S+)\. Move", str(caught.value))
    assert found
    rescued = Path(found[1])
    assert json.loads(rescued.read_text())["name"] == "t"
    assert result.document["name"] == "t"
    rescued.unlink()


@pytest.mark.skipif(not FULL.exists(), reason="there is no device that is always full")
def test_runs_without_room_are_said_once_and_end_no_test(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    result = TestResult.create(tmp_path, "t", NOON)
    result._lines = LineFile(FULL)
    for _ in range(3):
        result.add_run(RunRecord(scenario="s", name="r", due=NOON))
    result.close()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "No space left" in caplog.text


def test_one_odd_value_does_not_lose_the_others(tmp_path: Path) -> None:
    result = TestResult.create(tmp_path, "t", NOON)
    result.save(
        {"name": "t", "path": "a\udcff.json", "odd": {("a", 1): [tmp_path, None, 1.5, True]}, "total": {}}
    )
    result.close()
    document = TestResult.open(tmp_path / "latest").document
    assert document == result.document
    assert document["path"] == "a?.json"
    assert document["odd"] == {"('a', 1)": [str(tmp_path), None, 1.5, True]}
    assert document["total"] == {}
