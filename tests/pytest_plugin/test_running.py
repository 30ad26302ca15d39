"""Scenario files that are run against emulators, and what pytest shows of them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    Scenarios = Callable[..., Path]

EMULATOR = ("--kfp-perf", "--kfp-perf-emulator=instant")
KEPT = {"api.ListRuns.error_rate": "<= 5%"}
TOO_FAST = {"api.ListRuns.latency.mean": "< 1us", **KEPT}


def executions(pytester: pytest.Pytester) -> int:
    """How many tests left a result."""
    return len([one for one in (pytester.path / "results").iterdir() if not one.is_symlink()])


def test_a_file_runs_once_and_each_scenario_passes_or_fails(
    pytester: pytest.Pytester, scenarios: Scenarios
) -> None:
    scenarios("reads.json", whole={"cleanup.left": "== 0"}, good=KEPT, bad=TOO_FAST)
    found = pytester.runpytest(*EMULATOR, "-v", "--junitxml=own.xml")
    found.assert_outcomes(passed=2, failed=1)
    assert executions(pytester) == 1
    text = found.stdout.str()
    shown = text[text.index("FAILURES") : text.index("performance tests")]
    assert len(shown.splitlines()) < 15, "no page of internals"
    found.stdout.re_match_lines(
        [
            r"reads.json::good PASSED.*",
            r"reads.json::bad FAILED.*",
            r"reads.json::the whole test PASSED.*",
            r"_+ reads.json: bad _+",
            r"api.ListRuns.latency.mean is \d.* [mu]s, not < 1us",
            r"  not kept +bad: api.ListRuns.latency.mean: .*bound < 1us; margin -\d.*; from \d+ values?",
            r"  kept +bad: api.ListRuns.error_rate: 0 %, bound <= 5%; .*",
            r"  report +results/[\w.-]+/report.html",
            r"=+ performance tests =+",
            r"reads: failed \(1 of \d+ checks failed\)  results/[\w.-]+/report.html",
            r"FAILED reads.json::bad - .*api.ListRuns.latency.mean.*",
        ]
    )
    case = ET.parse(pytester.path / "own.xml").find(".//testcase[@name='bad']")
    assert case is not None
    properties = {one.get("name"): one.get("value") for one in case.iter("property")}
    assert float(properties["api.ListRuns.latency.mean"] or "") > 1e-6


def test_workers_of_xdist_share_the_one_run_of_a_file(
    pytester: pytest.Pytester, scenarios: Scenarios, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The workers import no plug-ins but these two: some take seconds.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    scenarios("reads.json", one=KEPT, two=KEPT)
    plugins = ("-p", "xdist.plugin", "-p", "kfp_perf.pytest_plugin.plugin")
    found = pytester.runpytest_subprocess(*plugins, *EMULATOR, "-n", "2", "--dist", "load")
    found.assert_outcomes(passed=3)
    assert executions(pytester) == 1
    assert len(re.findall(r"^reads: passed", found.stdout.str(), re.MULTILINE)) == 1


def test_a_target_that_is_not_there_is_an_error(
    pytester: pytest.Pytester, scenarios: Scenarios, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_HOST", "http://127.0.0.1:9")
    scenarios("reads.json", one=KEPT)
    found = pytester.runpytest("--kfp-perf")
    found.assert_outcomes(errors=2)
    found.stdout.fnmatch_lines(
        ["*ERROR at setup of reads.json: one*", "No KFP API server at http://127.0.0.1:9*"]
    )
    assert "Traceback" not in found.stdout.str()
    assert not (pytester.path / "results").exists()


def test_a_scenario_without_any_success_fails_by_its_error(
    pytester: pytest.Pytester, scenarios: Scenarios, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = scenarios("reads.json", one=KEPT)
    path.write_text(path.read_text().replace("RANDOM_GETS", "OWN"))
    (pytester.path / "own.py").write_text(
        "from kfp_perf import BaseRunner\n"
        "from kfp_perf.errors import RunnerError\n\n\n"
        "class Own(BaseRunner):\n"
        "    async def run(self):\n"
        "        raise RunnerError('nothing was read')\n\n"
        "    async def stop(self):\n"
        "        pass\n\n\n"
        "RUNNERS = {'OWN': Own}\n"
    )
    found = pytester.runpytest(*EMULATOR, "--kfp-perf-plugin", "own.py")
    found.assert_outcomes(passed=1, failed=1)
    found.stdout.fnmatch_lines(["*reads.json: one*", "nothing was read*"])


def test_a_test_function_that_runs_a_test_shows_thresholds_instead_of_a_traceback(
    pytester: pytest.Pytester, scenarios: Scenarios
) -> None:
    scenarios("reads.json", bad=TOO_FAST)
    pytester.makepyfile(
        test_own="""
        from kfp_perf import run_test, test_performance

        def check():
            run_test("reads.json", emulator="instant", quiet=True)

        def test_it():
            check()

        def test_other():
            assert 1 == 2

        def test_wrong_input():
            run_test("nothing.json")
        """
    )
    found = pytester.runpytest("-q", "-s")
    found.assert_outcomes(failed=3)
    found.stdout.re_match_lines(
        [
            r"_+ test_it _+",
            r"api.ListRuns.latency.mean is .*, not < 1us",
            r"  not kept .*",
            r"  at test_own.py:4",
            r"_+ test_other _+",
            r">       assert 1 == 2",
            r"nothing.json: does not exist",
            r"  at test_own.py:13",
        ]
    )
    assert "execute.py" not in found.stdout.str()
