"""The test that pytest collects: `pytest --pyargs kfp_perf.test_performance`, configured by the environment."""

from __future__ import annotations

from kfp_perf.execution import run_test


class TestPerformance:
    """Runs the scenario file that `SCENARIO_FILE_NAME` names against the server that `API_HOST` names."""

    def test_scenario(self) -> None:
        """Pass if every scenario did its work, and every threshold held; else raise the first error."""
        run_test(quiet=True)
