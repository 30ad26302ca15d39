"""The fixtures for the tests of programs that talk to KFP."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from kfp_emulator.process import Emulator


@pytest.mark.emulated_kfp("--profile", "instant", "--seed", "3", "--prefill", "runs=2")
def test_an_emulator_with_options_of_its_own_is_found_by_the_real_sdk(
    emulated_kfp: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with urllib.request.urlopen(f"{emulated_kfp.url}/apis/v2beta1/runs") as answer:
        assert json.load(answer)["total_size"] == 2
    assert emulated_kfp.server()["runs_in_flight"] == 0
    for name, value in emulated_kfp.environment.items():
        monkeypatch.setenv(name, value)
    assert pytest.importorskip("kfp").Client().list_runs().total_size == 2


def test_one_a_test_or_one_for_all(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nemulated_kfp_options = --profile instant")
    pytester.makepyfile(
        """
        seen = {"new": set(), "shared": set()}

        def test_one(emulated_kfp, shared_emulated_kfp):
            seen["new"].add(emulated_kfp.pid)
            seen["shared"].add(shared_emulated_kfp.pid)
            shared_emulated_kfp.add_faults([{"effect": {"kind": "status", "status": 503}}])

        def test_two(emulated_kfp, shared_emulated_kfp):
            seen["new"].add(emulated_kfp.pid)
            seen["shared"].add(shared_emulated_kfp.pid)
            assert [len(pids) for pids in seen.values()] == [2, 1]
            shared_emulated_kfp.remove_faults()
        """
    )
    pytester.runpytest().assert_outcomes(passed=2)


def test_wrong_options_are_said_in_a_line(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.emulated_kfp("--profile", "quick")
        def test_it(emulated_kfp):
            pass
        """
    )
    found = pytester.runpytest()
    found.assert_outcomes(errors=1)
    found.stdout.fnmatch_lines(["The emulator did not start with --profile quick:", "*quick*"])
    assert "Traceback" not in found.stdout.str()


START_NIGHTLY = """
def start_nightly(client):
    package = "small.yaml"
    try:
        return client.create_run_from_pipeline_package(package, run_name="nightly", experiment_name="e")
    except Exception:
        (run,) = client.list_runs().runs
        return run
"""


@pytest.mark.sdk
def test_the_example_of_the_docs(pytester: pytest.Pytester, small: object) -> None:
    pytest.importorskip("kfp")
    page = (Path(__file__).parents[2] / "docs" / "pytest.md").read_text("utf-8")
    example = page.split("## An emulator for your tests")[1].split("```python\n")[1].split("```")[0]
    (pytester.path / "small.yaml").write_text(json.dumps(small))
    pytester.makepyfile(START_NIGHTLY + example)
    pytester.runpytest("-W", "ignore").assert_outcomes(passed=2)
