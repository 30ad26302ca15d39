"""Which files are collected, and what is said of wrong ones. Nothing is run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Scenarios = Callable[..., Path]

BOUND = {"api.ListRuns.error_rate": "<= 5%"}


def test_a_test_for_each_scenario_and_one_for_the_whole(
    pytester: pytest.Pytester, scenarios: Scenarios
) -> None:
    scenarios("perf/reads.json", first=BOUND, second={})
    found = pytester.runpytest("--kfp-perf", "--collect-only", "-q", "perf")
    assert found.ret == 0
    assert found.outlines[:3] == [
        "perf/reads.json::first",
        "perf/reads.json::second",
        "perf/reads.json::the whole test",
    ]


def test_nothing_is_collected_unless_it_is_asked_for(pytester: pytest.Pytester, scenarios: Scenarios) -> None:
    scenarios("reads.json", first={})
    assert pytester.runpytest("--collect-only").ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_they_are_marked(pytester: pytest.Pytester, scenarios: Scenarios) -> None:
    scenarios("reads.json", first={})
    pytester.makepyfile(
        """
        import pytest
        from kfp_perf import test_performance

        class TestPerformance(test_performance.TestPerformance):
            pass

        @pytest.mark.performance
        def test_own():
            pass

        def test_other():
            pass
        """
    )
    marked = pytester.runpytest("--kfp-perf", "--co", "-q", "-m", "performance", "--strict-markers")
    assert sorted(marked.outlines[:4]) == [
        "reads.json::first",
        "reads.json::the whole test",
        "test_they_are_marked.py::TestPerformance::test_scenario",
        "test_they_are_marked.py::test_own",
    ]
    others = pytester.runpytest("--kfp-perf", "--co", "-q", "-m", "not performance")
    assert others.outlines[0] == "test_they_are_marked.py::test_other"


def test_other_json_in_a_folder_is_left_alone(pytester: pytest.Pytester, scenarios: Scenarios) -> None:
    scenarios("perf/reads.json", first={})
    for name, document in {
        "list.json": [{"a": 1}, "mode"],
        "object.json": {"mode": "strict", "files": []},
        "result.json": {"schema_version": 2, "scenarios": []},
    }.items():
        (pytester.path / "perf" / name).write_text(json.dumps(document))
    (pytester.path / "perf" / "comments.json").write_text("{// a configuration with comments\n}")
    found = pytester.runpytest("--kfp-perf", "--co", "-q", "perf")
    assert found.ret == 0
    assert {line.partition("::")[0] for line in found.outlines if "::" in line} == {"perf/reads.json"}


def test_names_of_files_can_be_narrowed_and_a_named_file_counts_in_any_case(
    pytester: pytest.Pytester, scenarios: Scenarios
) -> None:
    scenarios("perf/reads.json", first={})
    scenarios("perf/load_reads.json", second={})
    pytester.makeini("[pytest]\nkfp_perf_files = load_*.json")
    found = pytester.runpytest("--kfp-perf", "--co", "-q", "perf")
    assert found.outlines[0] == "perf/load_reads.json::second"
    assert "perf/reads.json::first" not in found.outlines
    named = pytester.runpytest("--kfp-perf", "--co", "-q", "perf/reads.json")
    assert named.outlines[0] == "perf/reads.json::first"


def test_what_is_wrong_with_a_file_is_an_error_of_the_collection(pytester: pytest.Pytester) -> None:
    (pytester.path / "a.json").write_text('[{"mode": "RANDOM_GETS", "runTime": -1, "foo": 1}]')
    (pytester.path / "b.json").write_text('[{"mode": "RANDOM_GETS",')
    (pytester.path / "c.json").write_text(
        '[{"mode": "PIPELINE_RUN", "runTime": 1, "pipelineFileName": "no.yaml"}]'
    )
    found = pytester.runpytest("--kfp-perf")
    found.assert_outcomes(errors=3)
    found.stdout.fnmatch_lines(
        [
            "*ERROR collecting a.json*",
            "*a.json:1:26: $[[]0].runTime: must be greater than 0, got -1",
            "*a.json:1:41: $[[]0].foo: is not a known field",
            "*ERROR collecting b.json*",
            "*is not JSON*",
            "*ERROR collecting c.json*",
            "*no.yaml*",
        ]
    )
    assert "Traceback" not in found.stdout.str()
    assert "nodes.py" not in found.stdout.str()


def test_a_wrong_setting_is_named(
    pytester: pytest.Pytester, scenarios: Scenarios, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenarios("reads.json", first={})
    monkeypatch.setenv("API_PORT", "many")
    found = pytester.runpytest("--kfp-perf")
    found.assert_outcomes(errors=1)
    found.stdout.fnmatch_lines(["*API_PORT*"])


def test_a_path_is_not_taken_for_a_profile(pytester: pytest.Pytester, scenarios: Scenarios) -> None:
    scenarios("perf/reads.json", first={})
    found = pytester.runpytest("--kfp-perf", "--kfp-perf-emulator", "perf")
    assert found.ret == pytest.ExitCode.USAGE_ERROR
    found.stderr.fnmatch_lines(["*got 'perf', which is a path*--kfp-perf-emulator=fast perf"])


def test_modes_of_a_plugin_are_known(pytester: pytest.Pytester) -> None:
    (pytester.path / "own.py").write_text(
        "from kfp_perf import BaseRunner\n\n\nclass Own(BaseRunner):\n    pass\n\n\nRUNNERS = {'OWN': Own}\n"
    )
    (pytester.path / "own.json").write_text('[{"name": "mine", "mode": "OWN", "runTime": 1}]')
    assert pytester.runpytest("--kfp-perf", "--co", "-q").ret != 0
    found = pytester.runpytest("--kfp-perf", "--kfp-perf-plugin", "own.py", "--co", "-q")
    assert found.outlines[0] == "own.json::mine"


def test_pytest_starts_without_what_is_heavy() -> None:
    heavy = "pydantic numpy scipy msgspec rich asyncio urllib.request kfp_perf.config kfp_emulator.process"
    code = (
        "import sys, pytest, kfp_perf.pytest_plugin.plugin, kfp_emulator.pytest_plugin\n"
        f"print(sorted(set({heavy.split()}) & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_page_has_every_option_and_no_other(pytester: pytest.Pytester) -> None:
    page = (Path(__file__).parents[2] / "docs" / "pytest.md").read_text()
    shown = pytester.runpytest("--help").stdout.str()
    options = set(re.findall(r"^  (--kfp-perf[\w-]*)", shown, re.MULTILINE))
    assert set(re.findall(r"--kfp-perf[\w-]*", page)) == options
    settings = set(re.findall(r"^  ((?:kfp_perf|emulated_kfp)_\w+) \(", shown, re.MULTILINE))
    assert settings == set(re.findall(r"\b(?:kfp_perf_files|emulated_kfp_\w+)\b", page))
