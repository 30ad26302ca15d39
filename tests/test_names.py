"""One name, one class: within a package no two classes share a name."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest

SOURCES = Path(__file__).parent.parent / "src"


@pytest.mark.parametrize("package", ["kfp_perf", "kfp_emulator"])
def test_no_two_classes_of_a_package_share_a_name(package: str) -> None:
    files: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted((SOURCES / package).rglob("*.py")):
        for statement in ast.parse(path.read_bytes()).body:
            if isinstance(statement, ast.ClassDef):
                files[statement.name].append(str(path.relative_to(SOURCES)))
    assert len(files) > 50
    assert {name: where for name, where in files.items() if len(where) > 1} == {}
