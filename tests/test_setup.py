"""`make` with a Python that will not do says so before it installs anything, and leaves nothing behind."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make on this machine")

OLD = f"""#!/bin/sh
[ "$1" = -c ] || exit 9
exec {sys.executable} -c "import sys; sys.version_info = (3, 9, 18, 'final', 0)
$2"
"""
WITHOUT_VENV = f"""#!/bin/sh
[ "$2" = venv ] || exec {sys.executable} "$@"
mkdir -p .venv/bin && touch .venv/bin/python
echo "ensurepip is not available" >&2
exit 1
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def _make(folder: Path, goal: str, python: str) -> subprocess.CompletedProcess[str]:
    (folder / "python").write_text(python)
    (folder / "python").chmod(0o755)
    return subprocess.run(
        ["make", goal, "PYTHON=./python"], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("goal", ["smoke", "test"])
def test_a_python_that_is_too_old(folder: Path, goal: str) -> None:
    done = _make(folder, goal, OLD)
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr
    assert "is 3.9" in done.stderr
    assert not (folder / ".venv").exists()


def test_a_python_without_venv(folder: Path) -> None:
    done = _make(folder, "smoke", WITHOUT_VENV)
    assert done.returncode != 0
    assert "ensurepip" in done.stderr
    assert not (folder / ".venv").exists()


def test_a_python_that_is_not_there(folder: Path) -> None:
    done = subprocess.run(
        ["make", "smoke", "PYTHON=python9"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "There is no python9" in done.stderr


def test_an_environment_of_an_older_python_is_not_installed_into(folder: Path) -> None:
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/python").write_text(OLD)
    (folder / ".venv/bin/python").chmod(0o755)
    done = _make(folder, "smoke", OLD)
    assert done.returncode != 0
    assert "make clean" in done.stderr
