"""Every package that the code imports is declared: a development environment holds more than a user's."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

#: Belong to a declared one: its documentation says to import from them, and their versions are its own to choose.
COMPANIONS = {"pydantic-core": "pydantic", "kfp-pipeline-spec": "kfp"}

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def names(requirements: list[str]) -> set[str]:
    return {canonical(re.match(r"[\w.-]+", one).group()) for one in requirements}  # type: ignore[union-attr]


def canonical(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def imported() -> dict[str, set[str]]:
    """Distributions that the package imports, each with the files that do."""
    distributions = packages_distributions()
    found: dict[str, set[str]] = defaultdict(set)
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            modules: list[str] = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules = [node.module or ""]
            for module in {one.partition(".")[0] for one in modules}:
                if module not in sys.stdlib_module_names and module not in {"kfp_perf", "kfp_emulator"}:
                    for distribution in distributions.get(module, [module]):
                        found[canonical(distribution)].add(path.relative_to(ROOT / "src").as_posix())
    return found


def test_what_the_code_imports_is_declared() -> None:
    extras = set().union(*(names(extra) for extra in PROJECT["optional-dependencies"].values()))
    declared = names(PROJECT["dependencies"]) | extras
    undeclared = {n: files for n, files in imported().items() if COMPANIONS.get(n, n) not in declared}
    assert not undeclared


def test_what_is_declared_is_used() -> None:
    assert names(PROJECT["dependencies"]) <= set(imported())


def imports_of(package: str) -> dict[str, set[str]]:
    """The files of a package that each of its files imports, also for type checking only."""
    root = ROOT / "src"
    files = {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for path in (root / package).rglob("*.py")
    }
    found: dict[str, set[str]] = {}
    for name, path in files.items():
        names: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    names.add(inner if inner in files else node.module)
        found[name] = names & files.keys() - {name}
    return found


@pytest.mark.parametrize("package", ["kfp_perf", "kfp_emulator"])
def test_no_files_import_each_other_in_a_circle(package: str) -> None:
    try:
        TopologicalSorter(imports_of(package)).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_every_public_name_can_be_imported() -> None:
    import kfp_perf

    missing = [name for name in kfp_perf.__all__ if not hasattr(kfp_perf, name)]
    assert (missing, sorted(kfp_perf.__all__)) == ([], sorted(kfp_perf._HOMES))
