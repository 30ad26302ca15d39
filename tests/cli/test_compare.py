from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from made_executions import total, write_execution, write_side, write_study

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    KfpPerf = Callable[..., tuple[int, str, str]]

BASE = [10.0, 10.2, 9.9, 10.1]
SLOWER = [11.5, 11.6, 11.4, 11.7]


def sides(folder: Path, new: list[float], **rest: Any) -> None:
    write_side(folder / "a", BASE)
    write_side(folder / "b", new, first_minute=1, **rest)


def test_the_verdict_comes_first(folder: Path, kfp_perf: KfpPerf) -> None:
    sides(folder, SLOWER)
    code, out, err = kfp_perf("compare", "a", "b")
    assert (code, err) == (0, "")
    assert out.split()[0] == "SLOWER"
    assert "+14.9 %" in out
    assert "a, 4 executions on the emulator" in out
    assert "No success or error rate got worse" in out


def test_a_folder_of_results_as_the_baseline(folder: Path, kfp_perf: KfpPerf) -> None:
    sides(folder, SLOWER)
    new = ["b/00", "b/01", "b/02"]
    code, out, _ = kfp_perf("compare", *new, "--baseline", "a")
    assert code == 0
    assert ", 3 executions" in out
    assert "SLOWER" in out


@pytest.mark.parametrize(
    ("new", "options", "code", "message"),
    [
        (SLOWER, ["--fail-on-regression", "5%"], 1, "slower by 14.9 %"),
        (SLOWER, ["--fail-on-regression", "20 %"], 0, ""),
        (BASE[::-1], ["--fail-on-regression", "5%"], 0, ""),
        (BASE[::-1], ["--require-not-slower", "5%"], 0, ""),
        (SLOWER, ["--require-not-slower", "15%"], 1, "may be slower by up to"),
        ([8.0, 13.0, 9.0, 12.0], ["--fail-on-regression", "5%"], 0, ""),
        ([8.0, 13.0, 9.0, 12.0], ["--require-not-slower", "5%"], 1, "may be slower by up to"),
        ([10.0], ["--require-not-slower", "5%"], 1, "too little data"),
    ],
)
def test_required_conditions_set_the_exit_code(
    folder: Path, kfp_perf: KfpPerf, new: list[float], options: list[str], code: int, message: str
) -> None:
    sides(folder, new)
    found, _, err = kfp_perf("compare", "a", "b", *options)
    assert found == code
    assert message in err
    assert bool(err) == bool(code)


def test_within_decides_what_counts_as_the_same(folder: Path, kfp_perf: KfpPerf) -> None:
    sides(folder, [10.2, 10.4, 10.1, 10.3])
    assert "SAME" in kfp_perf("compare", "a", "b")[1]
    assert "SAME" not in kfp_perf("compare", "a", "b", "--within", "1%")[1]


def test_the_warm_up_of_a_study(folder: Path, kfp_perf: KfpPerf) -> None:
    write_study(folder / "a", BASE, warmups=1)
    write_study(folder / "b", SLOWER, warmups=1, first_minute=1)
    _, out, _ = kfp_perf("compare", "a", "b")
    assert ", 3 executions" in out
    assert "warm-up" not in out  # it was planned, and is listed in the report of files
    assert "the warm-up of its study" in kfp_perf("compare", "a", "b", "--format", "markdown")[1]
    assert ", 4 executions" in kfp_perf("compare", "a", "b", "--no-warmup")[1]


def test_json_and_markdown(folder: Path, kfp_perf: KfpPerf) -> None:
    sides(folder, SLOWER)
    document = json.loads(kfp_perf("compare", "a", "b", "--format", "json")[1])
    assert document["verdict"] == "slower"
    primary = document["metrics"][0]
    assert primary["primary"] is True
    assert primary["low"] < primary["change"] < primary["high"]
    _, out, _ = kfp_perf("compare", "a", "b", "-f", "markdown")
    assert out.startswith("### ❌")
    assert "| run.visible.mean |" in out


def test_html_goes_to_a_file(folder: Path, kfp_perf: KfpPerf) -> None:
    sides(folder, SLOWER)
    code, out, _ = kfp_perf("compare", "a", "b", "-f", "html")
    assert (code, out) == (0, "comparison.html\n")
    assert "<h1>Comparison</h1>" in (folder / "comparison.html").read_text("utf-8")
    assert kfp_perf("compare", "a", "b", "-f", "json", "-o", "new/c.json")[1] == "new/c.json\n"
    assert json.loads((folder / "new" / "c.json").read_bytes())["within"] == 0.05


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a"], "Name two folders"),
        (["a", "b", "a"], "Name two folders"),
        (["a", "a"], "stands on both sides"),
        (["a", "a/00"], "stands on both sides"),
        (["a", "none"], "none: does not exist"),
        (["a", "a.txt"], "is not a folder"),
        (["a", "newer"], "was written by a newer kfp-perf"),
        (["a", "damaged"], "damaged/result.json: cannot be read"),
        (["a", "partial"], "partial: "),
        (["a", "b", "--within", "5"], "write it as 5%"),
        (["a", "b", "--within", "0%"], "is not a percentage"),
        (["a", "b", "--fail-on-regression", "many"], "is not a percentage"),
        (["a", "b", "-o", "a.txt/c.html"], "cannot be written"),
    ],
)
def test_bad_input_is_told_with_what_and_where(
    folder: Path, kfp_perf: KfpPerf, arguments: list[str], message: str
) -> None:
    sides(folder, BASE)
    (folder / "a.txt").write_text("x")
    for name, text in (("newer", '{"schema_version": 99}'), ("damaged", "{")):
        write_execution(folder / name, total(1.0))
        (folder / name / "result.json").write_text(text)
    write_execution(folder / "partial", total(1.0), complete=False)
    code, _, err = kfp_perf("compare", *arguments)
    assert code == 2
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "changes",
    [
        {"total": {"runs": 1}},
        {"total": {"runs": {"due": "many"}}},
        {"total": {"api": {"load": {"GetRun": 1}}}},
        {"total": {}, "scenarios": 7},
        {"target": 1, "verdict": [], "environment": None, "scenario_file": 0},
    ],
)
def test_a_result_that_no_test_writes(folder: Path, kfp_perf: KfpPerf, changes: dict[str, Any]) -> None:
    sides(folder, BASE)
    document = json.loads((folder / "b" / "01" / "result.json").read_bytes())
    (folder / "b" / "01" / "result.json").write_text(json.dumps(document | changes))
    code, _, err = kfp_perf("compare", "a", "b")
    assert code in {0, 2}
    assert "Traceback" not in err


@pytest.mark.parametrize("values", [{"primary": "x"}, {"scenarios": 5}, {"scenarios": [5]}])
def test_a_result_that_holds_what_no_test_writes_is_named(
    folder: Path, kfp_perf: KfpPerf, values: dict[str, Any]
) -> None:
    sides(folder, SLOWER, given=values)
    code, _, err = kfp_perf("compare", "b", "a")
    assert code == 2
    assert "b, a: holds what no test writes" in err


def test_a_result_of_another_user_is_named(
    folder: Path, kfp_perf: KfpPerf, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides(folder, SLOWER)

    def refuse(self: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.is_file", refuse)
    code, _, err = kfp_perf("compare", "a", "b")
    assert code == 2
    assert "cannot be read: Permission denied" in err
