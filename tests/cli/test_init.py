"""The files that `kfp-perf init` writes run unchanged against the emulator."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from kfp_perf.catalog import PROJECT
from kfp_perf.cli.init import FILES

if TYPE_CHECKING:
    from collections.abc import Callable

    Call = Callable[..., tuple[int, str, str]]


INSTALL = 'python -m pip install "$KFP_PERF"'


@pytest.fixture
def project(kfp_perf: Call, folder: Path) -> Path:
    code, out, _ = kfp_perf("init", "first test")
    assert code == 0
    assert "cd 'first test' && kfp-perf run" in out
    return folder / "first test"


def _run(project: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a shell of CI does, with the program of this environment first."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {
        **os.environ,
        "PATH": path,
        "RUN_TIME": "1s",
        "GITHUB_ACTIONS": "true",
        "GITHUB_STEP_SUMMARY": "summary.md",
    }
    return subprocess.run(
        ["bash", "-e", "-c", command],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def _steps(name: str, document: Any) -> list[str]:
    if name == ".gitlab-ci.yml":
        return list(document["performance"]["script"])
    return [step["run"] for step in document["jobs"]["performance"]["steps"] if "run" in step]


def test_every_file_of_the_template_is_written(project: Path) -> None:
    written = {str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()}
    assert written == set(FILES)
    assert {str(path.relative_to(PROJECT)) for path in PROJECT.rglob("*.*")} - {
        str(path.relative_to(PROJECT)) for path in PROJECT.rglob("__pycache__/*")
    } == set(FILES.values())


@pytest.mark.slow
def test_the_workflow_of_github_runs(project: Path) -> None:
    name = ".github/workflows/performance.yml"
    install, *commands = _steps(name, yaml.safe_load((project / name).read_text()))
    assert install == INSTALL
    for command in commands:
        done = _run(project, command)
        assert done.returncode == 0, done.stderr
    assert (project / "results/latest/report.html").exists()
    assert "performance" in (project / "summary.md").read_text()
    assert "<testsuites>" in (project / "results/junit.xml").read_text()


def test_the_pipeline_of_gitlab_has_the_same_commands(project: Path) -> None:
    github, gitlab = (
        _steps(name, yaml.safe_load((project / name).read_text()))
        for name in (".github/workflows/performance.yml", ".gitlab-ci.yml")
    )
    assert gitlab == github


@pytest.mark.parametrize(
    ("name", "section"), [(".github/workflows/performance.yml", "env"), (".gitlab-ci.yml", "variables")]
)
def test_where_pip_finds_the_package_is_a_variable_at_the_top(project: Path, name: str, section: str) -> None:
    text = (project / name).read_text()
    document = yaml.safe_load(text)
    assert document[section] == {"KFP_PERF": "kfp-perf"}
    assert _steps(name, document)[0] == INSTALL
    assert text.index("KFP_PERF: ") > text.index("git+https://"), "a comment says what it may be"


def test_its_readme_tells_what_has_to_be_installed_and_where_workflows_belong(project: Path) -> None:
    text = " ".join((project / "README.md").read_text().split())
    assert "pip install pytest" in text
    assert "at the root of the repository" in text


@pytest.mark.slow
def test_the_test_for_pytest_passes(project: Path) -> None:
    done = _run(project, "python -m pytest -q -p no:cacheprovider")
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


@pytest.mark.sdk
def test_the_pipeline_is_what_its_source_compiles_to(project: Path) -> None:
    before = (project / "pipelines/greet.yaml").read_text().splitlines()
    done = _run(project, "python pipelines/greet.py")
    assert done.returncode == 0, done.stderr
    after = (project / "pipelines/greet.yaml").read_text().splitlines()
    assert [line for line in after if "sdkVersion" not in line] == [
        line for line in before if "sdkVersion" not in line
    ]


def test_nothing_is_overwritten(kfp_perf: Call, folder: Path) -> None:
    (folder / "performance.json").write_text("mine")
    (folder / ".gitlab-ci.yml").write_text("mine")
    code, _, err = kfp_perf("init")
    assert code == 2
    assert "holds performance.json, .gitlab-ci.yml already, and nothing is overwritten" in err
    assert sorted(path.name for path in folder.iterdir()) == [".gitlab-ci.yml", "performance.json"]
    assert (folder / "performance.json").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_named(kfp_perf: Call, folder: Path) -> None:
    (folder / "file").write_text("")
    code, _, err = kfp_perf("init", "file/below")
    assert code == 2
    assert "cannot be written" in err
