from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from made_executions import total, write_execution, write_side, write_study

from kfp_perf.compare import read_duel, read_side
from kfp_perf.errors import InputError
from kfp_perf.result.study import Study

if TYPE_CHECKING:
    from pathlib import Path


def test_a_result_a_folder_of_results_and_a_study(tmp_path: Path) -> None:
    single = write_execution(tmp_path / "single", total(1.0))
    assert [one.path for one in read_side([single]).executions] == [single]
    several = write_side(tmp_path / "several", [1.0, 2.0, 3.0])
    (several / "latest").symlink_to(several / "02")
    (several / "notes").mkdir()
    assert len(read_side([several]).executions) == 3
    study = write_study(tmp_path / "study", [1.0, 2.0])
    assert [one.path.name for one in read_side([study]).executions] == ["00", "01"]
    assert len(read_side([study, single]).executions) == 3


def test_executions_are_in_the_order_of_their_start(tmp_path: Path) -> None:
    late = write_execution(tmp_path / "a", total(1.0), minute=9)
    early = write_execution(tmp_path / "b", total(1.0), minute=3)
    assert [one.path for one in read_side([late, early]).executions] == [early, late]


@pytest.mark.parametrize("warmups", [0, 1])
def test_the_warm_up_of_a_study_is_left_out(tmp_path: Path, warmups: int) -> None:
    write_study(tmp_path, [1.0, 2.0, 3.0], warmups=warmups)
    side = read_side([tmp_path])
    assert len(side.executions) == 3 - warmups
    assert len(side.warmups) == warmups
    assert side.left_out == ()
    assert len(read_side([tmp_path], count_warmup=True).executions) == 3


def test_executions_that_differ_on_purpose_are_no_side(tmp_path: Path) -> None:
    duel = write_study(tmp_path, [1.0, 2.0], kind="duel", labels="AB")
    with pytest.raises(InputError, match=r"differ on purpose \(A, B\)"):
        read_side([duel])


def test_the_sides_of_a_duel_are_pairs(tmp_path: Path) -> None:
    duel = write_study(tmp_path, [9.0, 9.0, 1.0, 2.0, 1.1, 2.2, 1.2], kind="duel", warmups=2, labels="AB")
    first, second = read_duel(Study.open(duel))
    assert (first.name, second.name) == ("A", "B")
    assert [one.path.name for one in first.executions] == ["02", "04"]
    assert [one.path.name for one in second.executions] == ["03", "05"]
    assert [len(one.warmups) for one in (first, second)] == [1, 1]
    assert len(first.left_out) == 1  # the pair that lacks its second half
    (duel / "executions" / "03" / "result.json").unlink()
    first, second = read_duel(Study.open(duel))
    assert [one.path.name for one in (*first.executions, *second.executions)] == ["04", "05"]


def test_tests_that_did_not_reach_their_end_are_left_out(tmp_path: Path) -> None:
    write_side(tmp_path, [1.0, 2.0])
    (tmp_path / "01" / "result.json").unlink()
    stopped = {"text": "interrupted", "exit_code": 4}
    write_execution(tmp_path / "02", total(1.0), verdict=stopped)
    write_execution(tmp_path / "03", total(1.0), complete=False)
    side = read_side([tmp_path])
    assert [one.path.name for one in side.executions] == ["00"]
    assert side.left_out == (
        f"{tmp_path / '01'}: the test did not reach its end",
        f"{tmp_path / '02'}: the test was interrupted",
        f"{tmp_path / '03'}: the test did not reach its end",
    )
    with pytest.raises(InputError, match="holds no execution that can be compared") as caught:
        read_side([tmp_path / "01"])
    assert "did not reach its end" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read"),
        ('{"schema_version": 99}', "was written by a newer kfp-perf"),
        ('{"schema_version": 1}', "schema 1"),
        ("{}", "is no result of kfp-perf"),
    ],
)
def test_damaged_results_and_other_schemas_are_refused(tmp_path: Path, content: str, message: str) -> None:
    write_side(tmp_path, [1.0, 2.0])
    (tmp_path / "01" / "result.json").write_text(content)
    with pytest.raises(InputError, match=message):
        read_side([tmp_path])


def test_folders_without_a_result(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_side([tmp_path / "none"])
    with pytest.raises(InputError, match="holds no result"):
        read_side([tmp_path])
    (tmp_path / "study.json").write_text("{")
    (tmp_path / "executions").mkdir()
    with pytest.raises(InputError, match=r"study\.json: cannot be read"):
        read_side([tmp_path])


def test_an_execution_counts_once(tmp_path: Path) -> None:
    one = write_execution(tmp_path / "a", total(1.0))
    with pytest.raises(InputError, match="is given twice"):
        read_side([one, tmp_path])


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({"verdict": {"exit_code": 4}}, "the test was interrupted"),
        ({"verdict": {"exit_code": 3}}, "the target failed"),
        (
            {"stopped_early": {"reason": "Aborted after 2:00 min: run.failed was 9, not < 9."}},
            "the test was ended early: Aborted after 2:00 min: run.failed was 9, not < 9",
        ),
        ({"complete": False}, "the test did not reach its end"),
    ],
)
def test_a_test_that_ended_before_its_load_is_left_out(
    tmp_path: Path, document: dict[str, Any], why: str
) -> None:
    """The runs that its end cut off are in no figure, so that a server which is too slow would seem fast."""
    write_execution(tmp_path / "a", total(1.0))
    partial = write_execution(tmp_path / "b", total(0.1), **document)
    side = read_side([tmp_path])
    assert [one.path.name for one in side.executions] == ["a"]
    assert side.left_out == (f"{partial}: {why}",)


def test_a_clock_that_is_set_during_a_duel_makes_no_other_pairs(tmp_path: Path) -> None:
    duel = write_study(tmp_path, [1.0, 2.0, 1.1, 2.2], kind="duel", labels="AB")
    file = duel / "executions" / "03" / "result.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"started": "2025-12-31T23:00:00.000Z"}))
    first, second = read_duel(Study.open(duel))
    assert [one.path.name for one in first.executions] == ["00", "02"]
    assert [one.path.name for one in second.executions] == ["01", "03"]


def test_a_result_of_another_user_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_side(tmp_path, [1.0, 2.0])

    def refuse(self: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.is_file", refuse)
    with pytest.raises(InputError, match="cannot be read: Permission denied"):
        read_side([tmp_path])
