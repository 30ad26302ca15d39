"""Schedules that a stand-in for the controller serves, played in virtual time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from fake_kfp import FakeKfp
from measured import metrics_of
from played import Played

from kfp_perf.client.messages import RecurringRun, RecurringRunSpec, RunSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fake_server import FakeRun
    from virtual_time import VirtualClock

    from kfp_perf.result.journal import Journal
    from kfp_perf.result.records import RunRecord


class Controller:
    """Starts runs for the fake's schedules: slot n (from 1, each `interval` seconds) `drift(n)` seconds late.

    `drift` gives the lateness of each of the slot's runs: none of them and it is missed, two and it is doubled.
    A run is in the fake's table, and so in its lists, only `shows_after` seconds after its creation.
    """

    def __init__(
        self,
        kfp: FakeKfp,
        drift: Callable[[int], Iterable[float]] = lambda _number: (12.3,),
        *,
        shows_after: float = 0.0,
        interval: float = 60.0,
        slots: int = 100,
        first: float | None = None,
        **run: Any,
    ) -> None:
        self.kfp, self.drift, self.shows_after, self.run = kfp, drift, shows_after, run
        self.interval, self.slots, self.first = interval, slots, first
        kfp.on_recurring_run = self.created

    def created(self, made: RecurringRun, spec: RecurringRunSpec) -> None:
        begin = (made.created_at or 0.0) - self.kfp.offset_seconds + (self.first or self.interval)
        for number in range(1, self.slots + 1):
            slot = begin + (number - 1) * self.interval
            for nth, late in enumerate(self.drift(number)):
                name = f"{spec.name[:25].lower()}xq7fd-{number}-{nth}{made.recurring_run_id}"
                when = slot + late + self.shows_after
                asyncio.get_running_loop().call_later(
                    when - self.kfp.clock.now(), self.start, made, spec, name, slot, slot + late
                )

    def start(
        self, made: RecurringRun, spec: RecurringRunSpec, name: str, slot: float, created: float
    ) -> None:
        schedule = self.kfp.recurring_runs.get(made.recurring_run_id)
        if schedule is None or (schedule.status == "DISABLED" and not self.shows_after):
            return
        run: FakeRun = self.kfp.add_run(
            RunSpec(name=name, experiment_id=spec.experiment_id),
            recurring_run_id=made.recurring_run_id,
            scheduled=slot,
            created=created,
            **self.run,
        )
        run.starts = created + self.kfp.queue_seconds
        if "finishes" not in self.run:
            run.finishes = run.starts + self.kfp.run_seconds
            run.reported = run.finishes + self.kfp.lag_seconds


def scheduled(
    fields: dict[str, Any] | None = None,
    *drift: Any,
    fake: dict[str, Any] | None = None,
    also: Callable[[FakeKfp], None] = lambda _kfp: None,
    journal: Journal | None = None,
    meanwhile: Callable[[Played], None] = lambda _played: None,
    config: dict[str, Any] | None = None,
    **controller: Any,
) -> Played:
    def server(clock: VirtualClock) -> FakeKfp:
        kfp = FakeKfp(clock, **(fake or {}))
        Controller(kfp, *drift, **controller)
        also(kfp)
        return kfp

    return Played(
        {
            "mode": "PIPELINE_SCHEDULED_RUN",
            "runTime": "5min",
            "interval": "1min",
            "pipelineFileName": "hello.yaml",
            **(fields or {}),
        },
        server=server,
        journal=journal,
        meanwhile=meanwhile,
        **(config or {}),
    )


def real(played: Played) -> list[RunRecord]:
    return [record for record in played.records if record.created]


def metrics(played: Played) -> dict[str, Any]:
    found: dict[str, Any] = metrics_of(played.records)["schedule"]
    return found
