"""`run --repeat` and `duel` on the emulator, and what they refuse."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest

from kfp_perf.result.study import Study

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call = Callable[..., tuple[int, str, str]]

SCENARIO = [
    {
        "mode": "RANDOM_GETS",
        "runTime": "300ms",
        "arrivalRate": "40/s",
        "prefill": {"runs": 3},
        "name": "reads",
    }
]


@pytest.fixture(autouse=True)
def _scenario(folder: Path) -> None:
    (folder / "t.json").write_text(json.dumps(SCENARIO))


def test_a_repeated_test_is_a_study_that_report_compare_and_cleanup_read(
    kfp_perf: Call, folder: Path
) -> None:
    code, out, err = kfp_perf(
        *("run", "t.json", "--emulator", "--emulator-profile", "instant", "--repeat", "2"),
        *("--emulator-seed", "4", "--results", "r"),
    )
    assert code == 0, err
    assert "95 % interval" in out
    assert [line for line in err.splitlines() if line.startswith("==")] == [
        "== Warm-up, which does not count ==",
        "== Execution 1 of 2 ==",
        "== Execution 2 of 2 ==",
    ]
    study = Study.open(folder / "r" / "latest")
    assert [one.emulator_seed for one in study.record.executions] == [4, 5, 6]
    assert (study.path / "report.html").exists()
    code, out, _ = kfp_perf("report", "r/latest", "--format", "json")
    assert code == 0
    assert json.loads(out)["study"]["kind"] == "repetition"
    assert kfp_perf("cleanup", "r/latest")[0] == 0
    code, _, err = kfp_perf("report", "r/latest", "--format", "parquet")
    assert code == 2
    assert "no report 'parquet' of a study" in err


def test_a_duel_of_emulators(kfp_perf: Call, folder: Path) -> None:
    relative = {"api.ListRuns.latency.mean": "<= baseline + 10%"}
    (folder / "t.json").write_text(json.dumps({"thresholds": relative, "scenarios": SCENARIO}))
    code, out, err = kfp_perf(
        *("duel", "t.json", "--target", "A=emulator:instant", "--target", "B=emulator:instant"),
        *("--repeat", "1", "--no-warmup", "--results", "r", "-q", "--undecided", "pass"),
    )
    assert code == 0, err
    assert "TOO LITTLE DATA" in out
    study = Study.open(folder / "r" / "latest")
    assert {one.label for one in study.record.executions} == {"A", "B"}
    (judged,) = study.record.answer["thresholds"]
    assert (judged["judged"], judged["baseline"]["paired"]) == ("cannot be told", True)
    for _, result in study.results():
        assert all(one["default"] for one in result.document["thresholds"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "t.json", "--pause", "3s"), "--pause needs --repeat"),
        (("run", "t.json", "--no-warmup"), "--no-warmup needs --repeat"),
        (("run", "t.json", "--repeat", "0"), "--repeat"),
        (("run", "t.json", "--repeat", "2", "--pause", "soon"), "'soon' is not a time"),
        (("run", "t.json", "--until-stable", "5"), "write it as 5%"),
        (("duel", "t.json", "--target", "A=http://a"), "needs two --target"),
        (("duel", "t.json", "--target", "A=http://a", "--target", "A=http://b"), "called A"),
        (("duel", "t.json", "--target", "A=http://a", "--target", "B=http://a"), "are both http://a"),
        (("duel", "t.json", "--target", "http://a", "--target", "B=http://b"), "has no label"),
        (
            ("duel", "t.json", "--aa", "--target", "A=http://a", "--target", "B=http://b"),
            "needs one --target",
        ),
        (("duel", "t.json", "--target", "A=production", "--target", "B=http://b"), "production"),
        (("duel", "none.json", "--target", "A=http://a", "--target", "B=http://b"), "none.json"),
    ],
)
def test_what_is_refused(kfp_perf: Call, folder: Path, arguments: tuple[str, ...], message: str) -> None:
    code, _, err = kfp_perf(*arguments)
    assert code == 2
    assert message in err
    assert not (folder / "results").exists()


def test_an_unreachable_target_leaves_no_folder(kfp_perf: Call, folder: Path) -> None:
    code, _, err = kfp_perf("run", "t.json", "--repeat", "2", "--host", "http://127.0.0.1:9", "-q")
    assert code == 3
    assert "127.0.0.1:9" in err
    assert list((folder / "results").iterdir()) == []


def test_a_duel_with_a_target_that_is_down_makes_nothing(
    kfp_perf: Call, emulator_url: str, folder: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        down = f"http://127.0.0.1:{closed.getsockname()[1]}"
    code, _, err = kfp_perf("duel", "smoke.json", "--target", f"A={emulator_url}", "--target", f"B={down}")
    assert code == 3
    assert down in err
    assert "Warm-up" not in err
    assert not (folder / "results").exists()
