"""`kfp-perf cleanup` deletes on the server that its test was run against, and on no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kfp_perf.result.journal import Journal, ObjectKind, left_behind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call = Callable[..., tuple[int, str, str]]


def leave(folder: Path, target: str, scenario: str = "a") -> Path:
    path = folder / "scenarios" / scenario / "journal.jsonl"
    path.parent.mkdir(parents=True)
    journal = Journal(path, target)
    journal.intend(ObjectKind.EXPERIMENT, f"kfp-perf-{scenario}")
    journal.made(ObjectKind.EXPERIMENT, f"kfp-perf-{scenario}", "00000000-0000-4000-8000-000000000000")
    journal.close()
    return path


def test_another_server_than_the_test_s_is_refused_and_nothing_is_forgotten(
    kfp_perf: Call, emulator_url: str, folder: Path
) -> None:
    path = leave(folder, "http://elsewhere:8888")
    code, out, err = kfp_perf("cleanup", ".", "--host", emulator_url)
    assert code == 2, out
    assert emulator_url in err
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


def test_the_journals_of_all_scenarios_are_read(kfp_perf: Call, emulator_url: str, folder: Path) -> None:
    paths = [leave(folder, emulator_url, name) for name in ("a", "b")]
    _, out, _ = kfp_perf("cleanup", ".", "--dry-run")
    assert "2 objects to delete" in out
    code, out, err = kfp_perf("cleanup", ".")
    assert code == 0, err
    assert "2 objects deleted" in out
    assert [left_behind(path) for path in paths] == [[], []]


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
    assert f"--host {emulator_url}" in err
    assert len(left_behind(path)) == 1


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("KFP_TOKEN", "sesame"),
        ("KFP_TOKEN_FILE", "token"),
        ("KFP_COOKIE", "session=sesame"),
        ("KFP_USER", "ann@example.com"),
        ("KFP_CLIENT_CERT", "client.pem"),
        ("KFP_CLIENT_KEY", "client.key"),
    ],
)
def test_credentials_are_not_sent_to_a_host_that_only_the_journal_names(
    variable: str, value: str, kfp_perf: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = leave(folder, "http://elsewhere:8888")
    (folder / "token").write_text("sesame")
    monkeypatch.setenv(variable, value)
    code, _, err = kfp_perf("cleanup", ".")
    assert code == 2
    assert f"({variable})" in err
    assert "--host http://elsewhere:8888" in err
    assert "sesame" not in err
    assert len(left_behind(path)) == 1


def test_a_secret_of_a_subclass_is_a_credential(
    kfp_perf: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "own_config.py").write_text(
        "from pydantic import SecretStr\n"
        "from kfp_perf.config import TestConfig\n"
        "class OwnConfig(TestConfig):\n"
        "    api_key: SecretStr | None = None\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("KFP_PERF_API_KEY", "sesame")
    path = leave(folder, "http://elsewhere:8888")
    code, _, err = kfp_perf("cleanup", ".", "--config-class", "own_config:OwnConfig")
    assert code == 2
    assert "(KFP_PERF_API_KEY)" in err
    assert len(left_behind(path)) == 1


@pytest.mark.parametrize("target", ["http://127.0.0.1.example.com:8888", "http://localhost.example.com"])
def test_a_name_that_begins_like_this_machine_is_another_host(
    target: str, kfp_perf: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(folder, target)
    monkeypatch.setenv("KFP_TOKEN", "sesame")
    code, _, err = kfp_perf("cleanup", ".")
    assert code == 2
    assert "(KFP_TOKEN)" in err


def test_a_proxy_is_no_credential(kfp_perf: Call, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave(folder, "http://kfp.test:8888")
    monkeypatch.setenv("HTTP_PROXY", "http://me:secret@127.0.0.1:1")
    code, _, err = kfp_perf("cleanup", ".")
    assert code == 3
    assert "proxy" in err
    assert "127.0.0.1:1 " in err


def test_the_folder_of_which_nothing_is_left_is_named(kfp_perf: Call, folder: Path) -> None:
    made = folder / "results" / "20260105T120000Z-smoke"
    path = made / "scenarios" / "a" / "journal.jsonl"
    path.parent.mkdir(parents=True)
    Journal(path, "http://kfp:8888").close()
    (folder / "results" / "latest").symlink_to(made.name)
    assert f"results/latest ({made.name})" in kfp_perf("cleanup")[1]
    assert str(made) in kfp_perf("cleanup", str(made))[1]


def test_of_a_study_one_test_that_cannot_be_cleaned_up_keeps_no_other(
    kfp_perf: Call, emulator_url: str, folder: Path
) -> None:
    """A duel has two targets, and a result may be damaged: its journal is what counts."""
    (folder / "study.json").write_text("{")
    tests = [folder / "executions" / name for name in ("01", "02", "03")]
    paths = [
        leave(one, target)
        for one, target in zip(tests, ("http://127.0.0.1:1", emulator_url, emulator_url), strict=True)
    ]
    (tests[1] / "result.json").write_text("{")
    code, out, err = kfp_perf("cleanup", ".")
    assert code == 3, out
    assert "No KFP API server at http://127.0.0.1:1" in err
    assert out.count("1 object deleted") == 2
    assert [len(left_behind(path)) for path in paths] == [1, 0, 0]


def test_a_study_that_made_nothing_is_named(kfp_perf: Call, folder: Path) -> None:
    (folder / "study.json").write_text("{}")
    code, _, err = kfp_perf("cleanup", ".")
    assert code == 2
    assert "holds no journal.jsonl of a test" in err


def test_a_journal_that_cannot_be_written_keeps_nothing_on_the_server(
    kfp_perf: Call, emulator_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = leave(folder, emulator_url)

    def refuse(_: Path) -> Journal:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("kfp_perf.result.journal.Journal", refuse)
    code, out, err = kfp_perf("cleanup", ".")
    assert code == 0, err
    assert "1 object deleted" in out
    assert "cannot be written (Permission denied)" in err
    assert len(left_behind(path)) == 1


def test_a_result_of_another_user_is_named(
    kfp_perf: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(folder, "http://127.0.0.1:1")

    def refuse(self: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.is_dir", refuse)
    code, _, err = kfp_perf("cleanup", ".")
    assert code == 2
    assert "cannot be read: Permission denied" in err
