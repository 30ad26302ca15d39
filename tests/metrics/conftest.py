from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.result.records import Outcome, RunRecord, Sample

if TYPE_CHECKING:
    from collections.abc import Callable

T0 = 1_790_000_000.0


@pytest.fixture
def sample() -> Callable[..., Sample]:
    """A request that was due so many seconds after T0, left `late` seconds after, and took `took`."""

    def make(
        due: float = 0.0, took: float = 0.1, late: float = 0.0, operation: str = "GetRun", **fields: Any
    ) -> Sample:
        sent = T0 + due + late
        return Sample(operation, T0 + due, sent, sent + took, **fields)

    return make


@pytest.fixture
def run() -> Callable[..., RunRecord]:
    """A run that was due so many seconds after T0 and, unless told otherwise, succeeded after `took`."""

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
