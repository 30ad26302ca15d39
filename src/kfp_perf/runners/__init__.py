"""Runners: RUNNERS is the table of modes, `create_runner` the factory; each mode is one file here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from kfp_perf.errors import InputError, Problem
from kfp_perf.runners.base import BaseRunner
from kfp_perf.runners.experiment import ExperimentRunner
from kfp_perf.runners.journaled import JournaledRunner
from kfp_perf.runners.pipeline import PipelineRunner
from kfp_perf.runners.random_gets import RandomGetsRunner
from kfp_perf.runners.scheduled import ScheduledRunner
from kfp_perf.runners.upload import UploadRunner
from kfp_perf.scenario.modes import TestMode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kfp_perf.scenario.model import TestScenario

RUNNERS: dict[str, type[BaseRunner]] = {
    TestMode.PIPELINE_RUN.name: PipelineRunner,
    TestMode.EXPERIMENT.name: ExperimentRunner,
    TestMode.RANDOM_GETS.name: RandomGetsRunner,
    TestMode.PIPELINE_UPLOAD.name: UploadRunner,
    TestMode.PIPELINE_SCHEDULED_RUN.name: ScheduledRunner,
}
"""The runner of each mode."""

CreateRunner: TypeAlias = Callable[..., BaseRunner]
"""What makes the runner of a scenario, with the arguments of `create_runner`."""


def create_runner(
    test_scenario: TestScenario, *, plugins: Mapping[str, type[BaseRunner]] | None = None, **given: Any
) -> BaseRunner:
    """Return the runner for a scenario's mode; what is `given` goes to its constructor.

    `plugins` holds the runners of the user's own modes. Raises `InputError` for a mode without a runner.
    """
    runner = {**RUNNERS, **(plugins or {})}.get(test_scenario.mode_name)
    if runner is None:
        known = ", ".join([*RUNNERS, *(plugins or {})])
        what = f"there is no runner for the mode {test_scenario.mode_name}"
        raise InputError(Problem(test_scenario.name or "", what, f"there are runners for {known}"))
    return runner(test_scenario, **given)


__all__ = [
    "RUNNERS",
    "BaseRunner",
    "CreateRunner",
    "ExperimentRunner",
    "JournaledRunner",
    "PipelineRunner",
    "RandomGetsRunner",
    "ScheduledRunner",
    "UploadRunner",
    "create_runner",
]
