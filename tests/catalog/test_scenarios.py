"""The built-in scenarios can be run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kfp_perf.catalog import SCENARIOS
from kfp_perf.config import TestConfig
from kfp_perf.plan import make_plan, most_at_once
from kfp_perf.scenario.model import TestMode

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.json")), ids=lambda path: path.stem)
def test_a_built_in_scenario_is_good(path: Path) -> None:
    plan = make_plan(path.name, TestConfig.from_environment())
    assert plan.path == path
    assert plan.name == path.stem
    assert plan.warnings == ()


def test_the_smoke_scenario_runs_both_modes_at_the_same_time_and_not_for_long() -> None:
    plan = make_plan("smoke", TestConfig.from_environment())
    assert {scenario.mode for scenario in plan.scenarios} == {TestMode.PIPELINE_RUN, TestMode.EXPERIMENT}
    assert most_at_once(plan.scenarios) >= 2
    assert plan.duration_seconds <= 20
