"""The result of a test whose scenarios did not end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.execution.document import result_document
from kfp_perf.result.counters import ScenarioCounters
from kfp_perf.result.reader import TestResult
from kfp_perf.result.records import Outcome, RunRecord
from kfp_perf.result.result_writer import ResultWriter
from kfp_perf.result.scenario_writer import ScenarioInfo, ScenarioWriter

if TYPE_CHECKING:
    from pathlib import Path

T0 = 1_790_000_000.0


def unended(
    folder: Path, mode: str = "PIPELINE_RUN", *, measured: bool = False, health: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The result of a scenario that started five runs, of which two were recorded."""
    result = ResultWriter.create(folder, "t", T0)
    result.save_given(
        {"name": "t", "started": "2026-09-21T14:13:20Z", "scenarios": [{"name": "s", "folder": "s"}]}
    )
    writer = ScenarioWriter(result.scenario_folder("s"), T0)
    writer.info(ScenarioInfo(name="s", mode=mode, started=T0, measured=measured))
    for number in range(2):
        due = T0 + number
        writer.run(
            RunRecord(scenario="s", name=f"r{number}", run_id=f"{number}", outcome=Outcome.SUCCEEDED, due=due)
        )
    writer.state(ScenarioCounters(scenario="s", at=T0 + 7.0, started=5, in_flight=4), {})
    writer.close()
    if health is not None:
        result.save_health(health)
    return result_document(TestResult(result.path))


def test_runs_in_flight_when_a_test_was_killed_count_as_cut_off(tmp_path: Path) -> None:
    document = unended(tmp_path)
    assert document["complete"] is False
    assert document["complete_until"] == "2026-09-21T14:13:27.000Z"
    assert document["scenarios"][0]["in_flight"] == 3
    for runs in (document["total"]["runs"], document["scenarios"][0]["metrics"]["runs"]):
        assert (runs["cut_off"], runs["succeeded"], runs["due"]) == (3, 2, 2)
    assert document["verdict"]["exit_code"] == 4
    killed, in_flight = document["verdict"]["reasons"][:2]
    assert "killed" in killed
    assert "2026-09-21T14:13:27" in killed
    assert "3 operations" in in_flight


def test_so_do_those_of_scenarios_that_nobody_waited_for(tmp_path: Path) -> None:
    left = {"s": {"started": 6, "in_flight": 4}}
    document = unended(tmp_path, health={"over": True, "reasons": [[4, "Stopped at once."]], "left": left})
    assert document["total"]["runs"]["cut_off"] == 4
    assert document["verdict"]["reasons"][0] == "Stopped at once."


def test_reads_in_flight_are_no_runs(tmp_path: Path) -> None:
    document = unended(tmp_path, "RANDOM_GETS")
    assert document["scenarios"][0]["in_flight"] == 4
    assert document["total"]["runs"]["cut_off"] == 0


def test_a_test_that_was_killed_while_it_cleaned_up_has_all_that_it_measured(tmp_path: Path) -> None:
    document = unended(tmp_path, measured=True)
    assert document["total"]["runs"]["cut_off"] == 0
    (why, *_) = document["verdict"]["reasons"]
    assert "while it cleaned up" in why


@pytest.mark.parametrize("begun", [True, False])
def test_a_test_that_was_killed_at_its_start_has_a_result_too(tmp_path: Path, *, begun: bool) -> None:
    result = ResultWriter.create(tmp_path, "t", T0)
    result.save_given({"name": "t", "scenarios": [{"name": "s", "folder": "s"}]})
    if begun:
        ScenarioWriter(result.scenario_folder("s"), T0).close()
    document = result_document(TestResult(result.path))
    assert "killed before it had measured anything" in document["verdict"]["reasons"][0]
