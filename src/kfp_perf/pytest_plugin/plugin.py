"""The hooks of the plug-in: with `--kfp-perf` scenario files are collected, a test for each scenario.

pytest imports this module in every environment that has kfp-perf, so all that is heavy is imported when it is
needed. The fixtures with an emulator are those of `kfp_emulator.pytest_plugin`.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.pytest_plugin import MARKER, SHARED_FOLDER

if TYPE_CHECKING:
    from collections.abc import Generator

_DEFAULT_PROFILE = "fast"
_OPTION = "--kfp-perf-emulator"
_TEST_CLASS = ("kfp_perf.test_performance", "TestPerformance")
_shared_folder = pytest.StashKey[Path]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, all named `--kfp-perf...`."""
    group = parser.getgroup("kfp-perf", "performance tests of Kubeflow Pipelines")
    group.addoption(
        "--kfp-perf", action="store_true", help="collect scenario files (*.json): a test for each scenario"
    )
    group.addoption(
        _OPTION,
        nargs="?",
        const=_DEFAULT_PROFILE,
        default="",
        metavar="PROFILE",
        help=f"test the built-in emulator instead of the server that API_HOST names [{_DEFAULT_PROFILE}]",
    )
    group.addoption(
        "--kfp-perf-plugin",
        action="append",
        default=[],
        metavar="MODULE",
        help="load runners and collectors of your own; may be repeated",
    )
    parser.addini(
        "kfp_perf_files",
        "patterns of the names of scenario files in folders",
        type="args",
        default=["*.json"],
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker. Raises `UsageError` where the profile was meant to be a path."""
    config.addinivalue_line("markers", f"{MARKER}: puts load on a KFP API server, and takes its time")
    profile = config.getoption("kfp_perf_emulator")
    if profile and Path(profile).exists() and Path(profile).suffix not in {".yaml", ".yml"}:
        raise pytest.UsageError(
            f"{_OPTION} takes the name of a profile, got {profile!r}, which is a path. "
            f"Write the path before it, or {_OPTION}={_DEFAULT_PROFILE} {profile}"
        )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a scenario file: one that was named, or one in a folder that looks like it."""
    if file_path.suffix != ".json" or not parent.config.getoption("kfp_perf"):
        return None
    from kfp_perf.pytest_plugin.nodes import CollectedFile, holds_scenarios

    named = parent.session.isinitpath(file_path)
    patterns = parent.config.getini("kfp_perf_files")
    if not named and not (any(map(file_path.match, patterns)) and holds_scenarios(file_path)):
        return None
    return CollectedFile.from_parent(parent, path=file_path)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark the tests of `TestPerformance` and its subclasses."""
    bases = getattr(getattr(item, "cls", None), "__mro__", ())
    if any((base.__module__, base.__name__) == _TEST_CLASS for base in bases):
        item.add_marker(MARKER)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Report a test of kfp-perf that failed, in any test function, by its thresholds instead of by a traceback."""
    try:
        return (yield)
    except Exception as error:
        if "kfp_perf.execution" not in sys.modules or item.config.getoption("fulltrace"):
            raise
        from kfp_perf.pytest_plugin.failures import readable

        if not (text := readable(error, item.config.rootpath)):
            raise
        raise pytest.fail.Exception(text, pytrace=False) from None


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Send each worker of pytest-xdist the folder in which they agree on who runs a file."""
    stash = node.config.stash
    if node.config.getoption("kfp_perf") and _shared_folder not in stash:
        stash[_shared_folder] = Path(tempfile.mkdtemp(prefix="kfp-perf-"))
    if _shared_folder in stash:
        node.workerinput[SHARED_FOLDER] = str(stash[_shared_folder])


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the folder that workers shared."""
    if _shared_folder in config.stash:
        shutil.rmtree(config.stash[_shared_folder], ignore_errors=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the report of each scenario file that was run."""
    if not terminalreporter.config.getoption("kfp_perf"):
        return
    from kfp_perf.pytest_plugin.failures import verdict_lines

    reports = [one for group in terminalreporter.stats.values() for one in group]
    properties = [pair for one in reports for pair in getattr(one, "user_properties", ())]
    if lines := list(dict.fromkeys(verdict_lines(properties))):
        terminalreporter.section("performance tests")
        for line in lines:
            terminalreporter.line(line)
