"""The runner of examples/plugin.py: what it does not start is not answered either."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from fake_kfp import FakeKfp
from played import Played

from kfp_perf.engine import load_plugins
from kfp_perf.result.records import CallOutcome
from kfp_perf.runners import RUNNERS

if TYPE_CHECKING:
    import pytest

    from kfp_perf.client.messages import Healthz

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugin.py"


class Slow(FakeKfp):
    """Answers each health request after 20 s."""

    async def healthz(self, *, due: float | None = None) -> Healthz:
        await asyncio.sleep(20.0)
        return await super().healthz(due=due)


def test_operations_that_never_started_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    (runner,) = load_plugins([str(EXAMPLE)]).runners.values()
    monkeypatch.setitem(RUNNERS, "HEALTH", runner)
    load = {"mode": "HEALTH", "runTime": "60s", "arrivalRate": "6/min", "maxInFlight": 1}
    played = Played(load, server=Slow)
    never = [sample for sample in played.samples if sample.outcome is CallOutcome.NEVER_STARTED]
    assert [sample.operation for sample in never] == ["GetHealthz"] * 3
    assert len(played.samples) == 6, "one was due every ten seconds"
