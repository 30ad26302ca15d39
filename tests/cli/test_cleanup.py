"""`kfp-perf cleanup` deletes on the server that its test was run against, and on no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kfp_perf.result.journal import Journal, Kind, left_behind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call = Callable[..., tuple[int, str, str]]


def leave(folder: Path, target: str) -> Path:
    path = folder / "journal.jsonl"
    journal = Journal(path, target)
    journal.intend(Kind.EXPERIMENT, "kfp-perf-left")
    journal.made(Kind.EXPERIMENT, "kfp-perf-left", "00000000-0000-4000-8000-000000000000")
    journal.close()
    return path


def test_another_server_than_the_test_s_is_refused_and_nothing_is_forgotten(
    kfp_perf: Call, emulator_url: str, folder: Path
) -> None:
    path = leave(folder, "http://elsewhere:8888")
    code, out, err = kfp_perf("cleanup", ".", "--host", emulator_url)
    assert code == 2, out
    assert f"is of a test on http://elsewhere:8888, not on {emulator_url}" in err
    assert "--host http://elsewhere:8888" in err
    assert "--anyway" in err
    assert len(left_behind(path)) == 1


@pytest.mark.parametrize(
    ("target", "flags"),
    [("http://elsewhere:8888", ["--anyway"]), ("", []), ("the emulator", [])],
    ids=["told to", "older journal", "its own"],
)
def test_what_is_gone_from_its_server_is_forgotten(
    target: str, flags: list[str], kfp_perf: Call, emulator_url: str, folder: Path
) -> None:
    path = leave(folder, emulator_url if target == "the emulator" else target)
    code, _, err = kfp_perf("cleanup", ".", "--host", emulator_url, *flags)
    assert code == 0, err
    assert left_behind(path) == []


def test_without_a_host_the_target_is_the_test_s(kfp_perf: Call, emulator_url: str, folder: Path) -> None:
    path = leave(folder, emulator_url)
    code, out, err = kfp_perf("cleanup", ".")
    assert code == 0, err
    assert "1 object deleted" in out
    assert left_behind(path) == []


@pytest.mark.parametrize("variable", ["API_HOST", "API_PORT"])
def test_a_target_of_the_environment_counts_as_given(
    kfp_perf: Call, emulator_url: str, folder: Path, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = leave(folder, emulator_url)
    monkeypatch.setenv(variable, {"API_HOST": "elsewhere", "API_PORT": "1"}[variable])
    code, _, err = kfp_perf("cleanup", ".")
    assert code == 2
    assert f"is of a test on {emulator_url}, not on http://" in err
    assert len(left_behind(path)) == 1


def test_a_folder_does_not_say_where_a_token_goes(
    kfp_perf: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = leave(folder, "http://elsewhere:8888")
    monkeypatch.setenv("KFP_TOKEN", "sesame")
    code, _, err = kfp_perf("cleanup", ".")
    assert code == 2
    assert "credentials in the environment" in err
    assert "--host http://elsewhere:8888" in err
    assert len(left_behind(path)) == 1
