from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from made_samples import made_sample

from kfp_perf.metrics.figures import Figures, figures_of
from kfp_perf.result.reader import ScenarioFiles
from kfp_perf.result.records import Outcome, Purpose, RunRecord, Sample
from kfp_perf.result.scenario_writer import ScenarioInfo, ScenarioWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

T0 = 1_790_000_000.0


@pytest.fixture
def sample() -> Callable[..., Sample]:
    """An operation that was due `due` seconds after T0, was sent `late` seconds later, and took `took`."""

    def make(
        due: float = 0.0, took: float = 0.1, late: float = 0.0, operation: str = "GetRun", **fields: Any
    ) -> Sample:
        sent = T0 + due + late
        return made_sample(operation, T0 + due, sent, sent + took, **fields)

    return make


@pytest.fixture
def run() -> Callable[..., RunRecord]:
    """A run that was due `due` seconds after T0 and, by default, succeeded after `took`."""

    def make(due: float = 0.0, took: float = 10.0, **fields: Any) -> RunRecord:
        at = T0 + due
        usual: dict[str, Any] = {
            "scenario": "s",
            "name": "r",
            "run_id": "id",
            "outcome": Outcome.SUCCEEDED,
            "due": at,
            "sent": at,
            "ended": at + 0.5,
            "duration_seconds": took,
            "duration_error_seconds": 1.0,
            "seen_unfinished": at + took,
            "seen_finished": at + took + 1.0,
        }
        return RunRecord(**(usual | fields))

    return make


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., ScenarioFiles]:
    """Write a scenario's measurements, and open its files. Samples are written in the order of their ends."""

    def write(
        samples: Sequence[Sample] = (),
        runs: Sequence[RunRecord] = (),
        name: str = "s",
        measured_from: float = 0.0,
        **info: Any,
    ) -> ScenarioFiles:
        writer = ScenarioWriter(tmp_path / name, T0)
        writer.info(ScenarioInfo(name=name, measured_from=measured_from, **info))
        for one in sorted(samples, key=lambda sample: sample.ended):
            writer.sample(one, warmup=one.due < measured_from and one.purpose is Purpose.LOAD)
        for record in runs:
            writer.run(record)
        writer.close()
        return ScenarioFiles(tmp_path / name)

    return write


@pytest.fixture
def figures(files: Callable[..., ScenarioFiles]) -> Callable[..., dict[str, Any]]:
    """The metrics dictionary of a scenario that measured this."""

    def make(samples: Sequence[Sample] = (), runs: Sequence[RunRecord] = (), **fields: Any) -> Any:
        return all_figures(files(samples, runs, **fields)).of(fields.get("name", "s"))

    return make


def all_figures(*scenarios: ScenarioFiles) -> Figures:
    """The figures of these scenarios."""
    return figures_of(scenarios)
