"""`--target`, on the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    KfpPerf = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def targets(folder: Path, emulator_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = folder / "targets.toml"
    command = ["printf", "planted-token"]
    path.write_text(f'[emulated]\nurl = "{emulator_url}"\ntoken = {{ command = {json.dumps(command)} }}\n')
    path.chmod(0o600)
    monkeypatch.setenv("KFP_PERF_TARGETS", str(path))
    return path


def test_doctor_examines_a_target_by_its_name(kfp_perf: KfpPerf, emulator_url: str) -> None:
    code, out, err = kfp_perf("doctor", "--target", "emulated")
    assert (code, err) == (0, "")
    assert out.startswith(f"{emulator_url}\n")


def test_a_test_of_a_named_target_keeps_its_secrets(
    kfp_perf: KfpPerf, folder: Path, emulator_url: str
) -> None:
    scenario = {"mode": "RANDOM_GETS", "numTimes": 1, "runTime": "1s"}
    (folder / "s.json").write_text(json.dumps([scenario]))
    code, _, err = kfp_perf("run", "s.json", "--target", "emulated", "-q", "--log-level", "DEBUG")
    assert code in {0, 1}, err
    (result,) = (path for path in (folder / "results").iterdir() if not path.is_symlink())
    target = json.loads((result / "result.json").read_text())["target"]
    assert (target["name"], target["url"]) == ("emulated", emulator_url)
    _, out, _ = kfp_perf("report", str(result))
    assert f"on the emulator emulated ({emulator_url})" in out
    files = [path for path in result.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert [path for path in files if b"planted" in path.read_bytes()] == []
    assert "planted" not in err
    code, out, _ = kfp_perf("cleanup", "--target", "emulated", str(result))
    assert code == 0
    assert "Nothing is left" in out


def test_validate_takes_a_target(kfp_perf: KfpPerf) -> None:
    assert kfp_perf("validate", "smoke.json", "--target", "emulated")[0] == 0


def test_an_address_in_the_environment_need_not_be_valid(
    kfp_perf: KfpPerf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_PORT", "tcp://10.0.0.1:80")
    assert kfp_perf("validate", "smoke.json", "--target", "emulated")[0] == 0


@pytest.mark.parametrize(
    ("flags", "what"),
    [
        (["--target", "emulated", "--host", "kfp"], "--target and --host contradict each other"),
        (["--target", "emulated", "--port", "80"], "--target and --port contradict each other"),
        (["--target", "emulated", "--emulator"], "--emulator and --target contradict each other"),
        (["--target", "emulatd"], "Did you mean emulated?"),
        (["--target", "http://"], "--target: 'http://': has no host"),
        (["--target", "emulated", "--namespace", "Team A"], "--namespace: 'Team A': must be the name"),
    ],
)
def test_targets_that_cannot_be_are_input_errors(kfp_perf: KfpPerf, flags: list[str], what: str) -> None:
    code, _, err = kfp_perf("run", "smoke.json", *flags)
    assert code == 2
    assert what in err
