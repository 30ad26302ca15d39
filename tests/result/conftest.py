from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from made_samples import made_sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_perf.result.records import Sample

T0 = 1_790_000_000.0


@pytest.fixture
def sample() -> Callable[..., Sample]:
    """An operation that was due `due` seconds after T0, was sent at once, and took `took`."""

    def make(due: float = 0.0, took: float = 0.1, operation: str = "GetRun", **fields: Any) -> Sample:
        return made_sample(operation, T0 + due, T0 + due, T0 + due + took, **fields)

    return make
