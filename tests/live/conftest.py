from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from browser import open_browser

from kfp_perf.live import ScenarioState, Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def snapshot() -> Callable[..., Snapshot]:
    """A state of a test of three scenarios, `at` seconds after its start."""

    def make(at: float = 30.0, **fields: Any) -> Snapshot:
        scenarios = [
            ScenarioState("steady", "PIPELINE_RUN", "running", 0.0, 60.0, 12, 40 + int(at), 2, 1, 900),
            ScenarioState("<b>evil</b>", "EXPERIMENT", "waiting", 45.0, 90.0),
            ScenarioState(
                "a scenario with a name that is much too long", "RANDOM_GETS", "running", 0.0, 90.0
            ),
        ]
        given: dict[str, Any] = {
            "name": "nightly",
            "target": "http://localhost:8888",
            "elapsed_seconds": at,
            "planned_seconds": 90.0,
            "scenarios": scenarios,
            "requests_per_second": 12.5,
            "latency_p50": 0.004,
            "latency_p99": 0.081,
            "lateness_p99": 0.0002,
            "errors": {"CreateRun 503": 3, "GetRun timeout": 1},
            **fields,
        }
        return Snapshot(**given)

    return make


@pytest.fixture(scope="module")  # while playwright is open, asyncio.run() works in no other test
def browser() -> Iterator[Any]:
    yield from open_browser()
