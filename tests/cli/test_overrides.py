"""`--set`, `--name` and variables in scenario files, as `validate` and `run` take them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = {
        "mode": "RANDOM_GETS",
        "name": "${WHO:-reads}",
        "runTime": "${LONG:-2s}",
        "arrivalRate": "5/s",
    }
    (folder / "t.json").write_text(json.dumps([scenario]))
    for name in ("WHO", "LONG"):
        monkeypatch.delenv(name, raising=False)


def test_validate_shows_what_was_resolved(kfp_perf: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHO", "team-a")
    code, out, _ = kfp_perf(
        "validate", "t.json", "--set", "scenarios[0].arrivalRate=60/min", "--name", "nightly"
    )
    assert code == 0
    assert out.startswith("nightly: ")
    assert '$[0].name = "team-a", from "${WHO:-reads}"' in out
    assert '$[0].runTime = "2s", from "${LONG:-2s}"' in out
    assert '$[0].arrivalRate = "60/min", by --set' in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "arrivalRate"], "--set arrivalRate: is not of the form"),
        (["--set", "scenarios[1].runTime=1"], "has 1 items"),
        (["--set", "scenarios[0].runTime=never"], "t.json:1:2: $[0].runTime"),
        (["--name", "a b"], "--name: must match"),
    ],
)
@pytest.mark.parametrize("command", ["run", "validate"])
def test_what_is_wrong_with_them_is_told(
    kfp_perf: Call, folder: Path, command: str, arguments: list[str], words: str
) -> None:
    code, _, err = kfp_perf(command, "t.json", *arguments)
    assert code == 2
    assert words in err
    assert not (folder / "results").exists()


@pytest.mark.parametrize("flag", [["--ui-port", "8080"], ["--ui-host", "::1"]])
def test_flags_of_the_page_need_the_page(kfp_perf: Call, flag: list[str]) -> None:
    code, _, err = kfp_perf("run", "t.json", *flag)
    assert code == 2
    assert f"{flag[0]} needs --ui" in err


def test_the_result_holds_what_was_run(kfp_perf: Call, folder: Path, emulator_url: str) -> None:
    arguments = ("--set", "scenarios[0].arrivalRate=20/s", "--name", "nightly", "--quiet")
    assert kfp_perf("run", "t.json", "--host", emulator_url, *arguments)[0] == 0
    document: dict[str, Any] = json.loads((folder / "results/latest/result.json").read_text())
    text = json.dumps(document)
    assert "20/s" in text
    assert "5/s" not in text
    assert (folder / "results/latest").resolve().name.endswith("-nightly")
