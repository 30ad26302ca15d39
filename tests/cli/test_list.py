"""`kfp-perf list`, and what is said in place of a folder without a result."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from made_executions import write_study
from sample_results import Load, SampleTest, make_result

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def results(folder: Path) -> Path:
    """A test that failed, a study, a test that did not reach its end, and a damaged result."""
    parent = folder / "results"
    test = SampleTest(
        loads=(Load("steady", 40, 0.0, 60.0, 10.0, failed=0.1),), exit_code=1, reasons=["a threshold failed"]
    )
    for name in ("a", "c", "d"):
        made = make_result(folder / f"made-{name}", test).path
        parent.mkdir(exist_ok=True)
        made.rename(parent / name)
    (parent / "c" / "result.json").unlink()
    (parent / "d" / "result.json").write_text("{")
    write_study(parent / "b", [10.0, 10.1, 10.2, 10.3], kind="duel", labels="AB")
    (parent / "notes").mkdir()
    (parent / "latest").symlink_to("a")
    return parent


def test_a_line_for_each_result(kfp_perf: Call, results: Path) -> None:
    code, out, _ = kfp_perf("list")
    assert code == 0
    head, *lines = (line.split() for line in out.splitlines())
    assert head == ["Result", "Verdict", "Took", "What", "Target"]
    assert [line[0] for line in lines] == [f"results/{name}" for name in "abcd"]
    document = json.loads((results / "a" / "result.json").read_text())
    runs = document["total"]["runs"]
    assert f"{runs['succeeded']} of {runs['due']} runs, p50 " in out
    assert "duel, 4 executions" in out
    assert lines[2][1:3] == ["not", "finished"]
    assert "cannot be read" in " ".join(lines[3])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("list", "nowhere"), "nowhere: does not exist"),
        (("list", "results/notes"), "holds no results"),
        (("report", "."), "Did you mean results/latest?"),
        (("report", "results"), "Did you mean results/latest?"),
        (("report", "results/lates"), "Did you mean results/latest?"),
        (("cleanup", "resluts"), "Did you mean results?"),
        (("compare", "results/a"), "Name two folders"),
        (("compare",), "Name two folders"),
        (("duel", "smoke.json"), "--target new=http"),
    ],
)
def test_what_to_name_instead(kfp_perf: Call, results: Path, arguments: tuple[str, ...], words: str) -> None:
    code, _, err = kfp_perf(*arguments)
    assert code == 2
    assert words in err


def test_the_first_step_where_no_test_has_been_run(kfp_perf: Call, folder: Path) -> None:
    for command in ("report", "cleanup", "list"):
        code, _, err = kfp_perf(command)
        assert code == 2
        assert "`kfp-perf run smoke.json --emulator`" in err


def test_scenario_files_of_a_folder_are_named(kfp_perf: Call, folder: Path) -> None:
    assert kfp_perf("init", "first")[0] == 0
    for name in ("first", "first/performnce.json"):
        code, _, err = kfp_perf("run", name)
        assert code == 2
        assert "first/performance.json" in err
    code, _, err = kfp_perf("run", "nothere.json")
    assert code == 2
    assert "did you mean" not in err


@pytest.mark.parametrize("document", [{"target": 5}, {"total": [1]}, {"elapsed_seconds": "x"}])
def test_a_result_that_was_edited_keeps_no_other_from_the_list(
    kfp_perf: Call, results: Path, document: dict[str, object]
) -> None:
    file = results / "a" / "result.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | document))
    code, out, _ = kfp_perf("list")
    assert code == 0
    assert "holds what no test writes" in out
    assert "duel, 4 executions" in out
