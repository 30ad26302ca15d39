"""Runs that have ended are deleted while the last ones are followed to their end."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from emulated import Emulated
from fake_kfp import FakeKfp
from played_runs import Test, at

from kfp_perf.client.messages import RunState
from kfp_perf.errors import ApiStatusError
from kfp_perf.result.journal import Journal, ObjectKind, left_behind
from kfp_perf.runners.cleanup import clean_up
from kfp_perf.runners.early_deletion import kept_up
from kfp_perf.runners.pipeline import PipelineRunner

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from virtual_time import VirtualClock

    from kfp_perf.client import KfpClient
    from kfp_perf.runners import BaseRunner

OPEN = {
    "mode": "EXPERIMENT",
    "arrivalRate": "60/min",
    "arrivals": "constant",
    "warmup": "20s",
    "runTime": "30s",
}
RUN_SECONDS = 15.0


def slow(clock: VirtualClock) -> FakeKfp:
    return FakeKfp(clock, run_seconds=RUN_SECONDS)


class Played(Test):
    """A scenario with early deletions; `early` are the ids of the runs deleted before the clean-up."""

    __test__ = False

    def __init__(self, path: Path, fields: dict[str, Any] | None = None, **config: Any) -> None:
        path.mkdir(exist_ok=True)
        self.path = path / "j"
        super().__init__({**OPEN, **(fields or {})}, Journal(self.path), **config)
        self.early: list[str] = []

    def play(
        self,
        server: Callable[[VirtualClock], FakeKfp] = slow,
        change: Callable[[BaseRunner], None] = lambda _: None,
        *,
        deletes_early: bool = True,
    ) -> Played:
        def meanwhile(_: Test, runner: BaseRunner) -> None:
            assert isinstance(runner, PipelineRunner)
            runner.deletes_early = deletes_early
            stop = runner.stop

            async def stop_later() -> None:
                self.early = self.deleted
                await stop()

            runner.stop = stop_later  # type: ignore[method-assign]
            change(runner)

        self.run(server, meanwhile)
        return self

    @property
    def deleted(self) -> list[str]:
        return [argument for name, argument in self.kfp.calls if name == "DeleteRun"]


def test_runs_that_ended_are_deleted_in_the_order_of_their_ends_while_others_drain(tmp_path: Path) -> None:
    played = Played(tmp_path).play()
    usual = Played(tmp_path / "usual").play(deletes_early=False)
    assert usual.early == []
    ended = [one.run_id for one in sorted(played.records, key=lambda one: one.seen_finished or 0.0)]
    assert played.early == ended[: len(played.early)]
    assert len(played.early) > 20
    # Each of all 30 is deleted once, and nothing else of the test differs.
    assert Counter(played.deleted) == Counter(ended)
    assert played.outcomes == usual.outcomes == {"succeeded": 30}
    assert played.ended == pytest.approx(usual.ended, abs=0.05)
    seen = [one.seen_finished for one in played.records]
    assert seen == pytest.approx([one.seen_finished for one in usual.records], abs=0.05)
    assert played.runner.leftovers == []
    assert left_behind(played.path) == []
    assert not played.kfp.runs


@pytest.mark.parametrize(
    ("fields", "config"),
    [
        ({"cacheEnabled": True}, {}),
        ({"cacheEnabled": None}, {}),
        ({}, {"CACHE_ENABLED": True}),
        ({}, {"keep": "all"}),
    ],
)
def test_none_are_deleted_that_are_still_of_use(
    tmp_path: Path, fields: dict[str, Any], config: dict[str, Any]
) -> None:
    assert Played(tmp_path, fields, **config).play().early == []


def test_after_an_overload_none_are_deleted_before_the_end(tmp_path: Path) -> None:
    """Runs take ever longer, so ever more are in flight."""

    class Falling(FakeKfp):
        async def create_run(self, spec: Any, **rest: Any) -> Any:
            self.run_seconds = 5.0 if len(self.runs) < 15 else 60.0
            return await super().create_run(spec, **rest)

    played = Played(tmp_path, {"gracePeriod": "5min"}).play(Falling)
    assert played.early == []
    assert played.outcomes == {"succeeded": 30}
    assert not played.kfp.runs


def test_what_is_no_growth() -> None:
    assert kept_up(before=80, now=80, due=1200)
    assert kept_up(before=80, now=110, due=1200)
    assert not kept_up(before=80, now=111, due=1200)
    assert kept_up(before=25, now=35, due=120)  # by chance
    assert not kept_up(before=25, now=36, due=120)
    assert not kept_up(before=0, now=5, due=12)


def test_failed_runs_that_are_to_be_kept_stay(tmp_path: Path) -> None:
    class Failing(FakeKfp):
        async def create_run(self, spec: Any, **rest: Any) -> Any:
            run = await super().create_run(spec, **rest)
            if len(self.runs) == 7:
                self.runs[run.run_id].final_state = RunState.FAILED
            return run

    played = Played(tmp_path, keep="failed").play(lambda clock: Failing(clock, run_seconds=RUN_SECONDS))
    (failed,) = [one.run_id for one in played.records if one.outcome.value == "failed"]
    assert len(played.early) > 20
    assert list(played.kfp.runs) == [failed]
    left = left_behind(played.path)
    assert {made.kind for made in left} == {ObjectKind.RUN, ObjectKind.EXPERIMENT, ObjectKind.PIPELINE}
    assert all(made.kept for made in left)


@pytest.mark.parametrize("seconds", [31.0, 31.0051, 38.0, 44.9])
def test_a_stop_between_and_in_deletions_leaves_nothing_and_deletes_nothing_twice(
    tmp_path: Path, seconds: float
) -> None:
    played = Played(tmp_path).play(change=lambda runner: at(seconds, runner.request_stop))
    assert 0 < len(played.early) < 30
    assert set(Counter(played.deleted).values()) == {1}
    assert len(played.deleted) == len(played.records)
    assert left_behind(played.path) == []
    assert not played.kfp.runs


def test_a_deletion_that_does_not_answer_does_not_hold_up_the_end(tmp_path: Path) -> None:
    class Hanging(FakeKfp):
        async def delete_run(self, run_id: str, **rest: Any) -> None:
            if self.count("DeleteRun") == 4:
                await self.answer("DeleteRun", run_id, None)
                await self.clock.sleep_until(self.clock.now() + 3600)
            await super().delete_run(run_id, **rest)

    played = Played(tmp_path).play(lambda clock: Hanging(clock, run_seconds=RUN_SECONDS))
    usual = Played(tmp_path / "usual").play(deletes_early=False)
    assert len(played.early) == 5
    assert played.ended == pytest.approx(usual.ended + 5.0, abs=0.5)
    assert left_behind(played.path) == []
    assert not played.kfp.runs


def test_the_first_run_that_cannot_be_deleted_is_left_to_the_clean_up(tmp_path: Path) -> None:
    def refusing(runner: BaseRunner) -> None:
        error = ApiStatusError("DeleteRun", "Internal Server Error", status=500)
        runner.client.failures["DeleteRun"] = [error] * 3  # type: ignore[attr-defined]

    played = Played(tmp_path).play(change=refusing)
    assert len(played.early) == 3
    assert len(set(played.early)) == 1
    assert played.runner.leftovers == []
    assert left_behind(played.path) == []
    assert not played.kfp.runs


LIMITED = {
    "mode": "PIPELINE_RUN",
    "pipelineFileName": "hello.yaml",
    "arrivalRate": "60/min",
    "arrivals": "constant",
    "warmup": "45s",
    "runTime": "1min",
}


def test_a_throttled_server_shows_the_ends_of_the_last_runs_no_later(tmp_path: Path) -> None:
    """Creations, final reports and deletions share its five calls a second."""
    played = {}
    for early in (False, True):
        journal = Journal(tmp_path / str(early))
        played[early] = Emulated(LIMITED, "kfp-2.17", journal=journal, deletes_early=early)
        assert left_behind(journal.path) == []
        assert played[early].left["runs"] == 0
    waits = {
        early: [(one.seen_finished or 0.0) - one.due for one in each.records]
        for early, each in played.items()
    }
    assert len(waits[False]) == len(waits[True]) == 60
    assert sum(waits[True]) / 60 == pytest.approx(sum(waits[False]) / 60, abs=0.3)
    deletions = {
        early: [one for one in each.samples if one.operation == "DeleteRun"] for early, each in played.items()
    }
    assert len(deletions[True]) == len(deletions[False]) == 60
    ends = {early: max(one.ended for one in each) for early, each in deletions.items()}
    assert ends[True] < ends[False] - 8.0


@pytest.mark.parametrize("seconds", [61.0, 80.0])
def test_after_a_kill_the_journal_is_enough_to_delete_the_rest(tmp_path: Path, seconds: float) -> None:
    journal = Journal(tmp_path / "j")
    before: list[int] = []

    async def clean(played: Emulated, client: KfpClient) -> None:
        before.append(sum(one.operation == "DeleteRun" for one in played.samples))
        await clean_up(
            left_behind(journal.path),
            client,
            played.clock,
            patience_seconds=300.0,
            on_gone=lambda made: journal.gone(made.kind, made.name),
        )

    played = Emulated(
        {**LIMITED, "arrivalRate": "30/min"},
        "kfp-2.17",
        journal=journal,
        killed_after=seconds,
        clean_up=False,
        deletes_early=True,
        afterwards=clean,
    )
    assert 0 < before[0] < 30
    assert played.left["runs"] == played.left["pipelines"] == 0
    assert left_behind(journal.path) == []
