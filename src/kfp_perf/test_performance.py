"""The test that pytest collects: `pytest --pyargs kfp_perf.test_performance`, configured by the environment.

A subclass in a test file of your own may select other runners:

    from kfp_perf.test_performance import TestPerformance as Base

    class TestPerformance(Base):
        def create_runner(self, test_scenario, **given):
            ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_perf.execution import run_test
from kfp_perf.runners import create_runner

if TYPE_CHECKING:
    from kfp_perf.runners import BaseRunner
    from kfp_perf.scenario.model import TestScenario


class TestPerformance:
    """Runs the scenario file that `SCENARIO_FILE_NAME` names against the server that `API_HOST` names."""

    def create_runner(self, test_scenario: TestScenario, **given: Any) -> BaseRunner:
        """Return the runner of a scenario: by default the one for its mode."""
        return create_runner(test_scenario, **given)

    def test_scenario(self) -> None:
        """Pass if every scenario did its work, and every threshold held; else raise the first error."""
        run_test(quiet=True, create_runner=self.create_runner)
