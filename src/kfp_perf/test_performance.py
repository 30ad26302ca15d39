"""The test that pytest collects: `pytest --pyargs kfp_perf.test_performance`, configured by the environment.

A subclass in a test file of your own may select other runners:

    from kfp_perf import test_performance

    class TestPerformance(test_performance.TestPerformance):
        def create_runner(self, test_scenario, *, plugins=None, **given):
            if test_scenario.mode_name == "EXPERIMENT":
                return MyRunner(test_scenario, **given)
            return super().create_runner(test_scenario, plugins=plugins, **given)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_perf.execution import run_test
from kfp_perf.runners import create_runner

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kfp_perf.runners import BaseRunner
    from kfp_perf.scenario.model import TestScenario


class TestPerformance:
    """Runs the scenario file that `SCENARIO_FILE_NAME` names against the server that `API_HOST` names."""

    def create_runner(
        self,
        test_scenario: TestScenario,
        *,
        plugins: Mapping[str, type[BaseRunner]] | None = None,
        **given: Any,
    ) -> BaseRunner:
        """Return the runner of a scenario: by default the one for its mode, which `plugins` may have."""
        return create_runner(test_scenario, plugins=plugins, **given)

    def test_scenario(self) -> None:
        """Pass if every scenario did its work, and every threshold held; else raise the first error."""
        run_test(quiet=True, create_runner=self.create_runner)
