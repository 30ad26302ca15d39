"""Final tasks that the server shows later than the final state."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from kfp_perf.client.messages import FINAL_STATES, Run, RunDetails, format_time
from kfp_perf.errors import ApiStatusError, ApiUnreachable
from kfp_perf.observe import observer
from kfp_perf.observe.phases import PHASES
from kfp_perf.observe.reads import CLOSING_SECONDS, PATIENCE_SECONDS, PATIENCE_WITHOUT_ROOT_SECONDS
from kfp_perf.observe.task_details import Completeness, completeness, entries_of, read_nodes
from kfp_perf.pipelines.shape import Dag, TaskKind, TaskShape
from kfp_perf.result.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    World = Any
    Observe = Callable[..., Any]

RECORDINGS = Path(__file__).parents[3] / "shared" / "recordings"
DAG = Dag({"train": TaskShape("train", TaskKind.CONTAINER, frozenset())})
#: The phases that are known without tasks.
OUTER = {"submit", "visible"}


def entries(clock: Any, *, unfinished: bool = False, root: bool = True) -> list[dict[str, Any]]:
    """The entries of a run of six seconds, created now; `unfinished`: as the report before the last shows them."""
    times = {
        "root-driver": (1, 2),
        "root": (2, 6),
        "train-driver": (2, 3),
        "train": (3, 6),
        "executor": (3, 5),
    }
    shown = []
    for name, (begin, end) in times.items():
        if name == "root" and not root:
            continue
        running = unfinished and end > 3
        at = clock.now()
        shown.append(
            {
                "display_name": name,
                "state": "RUNNING" if running else "SUCCEEDED",
                "start_time": format_time(at + begin),
                "end_time": "0001-01-01T00:00:00Z" if running else format_time(at + end),
            }
        )
    return shown


@pytest.mark.parametrize("late", [0.15, 0.6, 6.1, 40.0])
@pytest.mark.parametrize("stale", [False, True])
def test_phases_are_read_when_the_final_tasks_are_shown(observe: Observe, late: float, stale: bool) -> None:
    """Entries of an earlier report, and no entries at all, are not taken for the final ones."""

    async def scene(world: World) -> Any:
        now = world.clock.now()
        given = {
            "task_details": entries(world.clock),
            "earlier_details": entries(world.clock, unfinished=True) if stale else [],
            "reported": now + 7.0,
            "tasks_reported": now + 7.0 + late,
        }
        tracked = await (await world.start(**given))
        seen = world.clock.now()
        assert not world.records
        assert tracked.outcome is Outcome.SUCCEEDED
        assert tracked.duration_seconds == pytest.approx(6.0, abs=1.0)
        await world.written.wait()
        return world.records[0], world.observer.report(), seen - now, world.clock.now() - now

    record, report, seen, written = observe(scene, {"shape": DAG}, answer_seconds=0.001)
    assert seen < 8.0 < 7.0 + late + 1.0 <= written + 1.0 < 7.0 + 2 * late + 4.0
    assert record.tasks_complete
    assert record.phases.keys() == PHASES.keys()
    assert record.phases["execute"] == pytest.approx(2.0, abs=1.0)
    assert [task.name for task in record.tasks] == ["train"]
    assert record.seen_finished == pytest.approx(record.due + seen, abs=0.01)
    assert (report.tasks_late, report.incomplete) == (1, 0)
    assert 1 <= report.rereadings <= 8
    assert report.components["train"].executed == 1


@pytest.mark.parametrize("stale", [False, True])
def test_tasks_that_are_never_shown_are_given_up_and_counted(observe: Observe, stale: bool) -> None:
    async def scene(world: World) -> Any:
        earlier = entries(world.clock, unfinished=True) if stale else []
        await (await world.start(earlier_details=earlier, tasks_reported=world.clock.now() + 1e6))
        seen = world.clock.now()
        await world.written.wait()
        return world.records[0], world.observer.report(), world.clock.now() - seen

    record, report, took = observe(scene, {"shape": DAG})
    assert took == pytest.approx(PATIENCE_SECONDS, abs=0.5)
    assert record.outcome is Outcome.SUCCEEDED
    assert record.duration_seconds is not None
    assert not record.tasks_complete
    assert record.phases.keys() == OUTER
    assert record.tasks == []
    assert (report.tasks_late, report.incomplete, report.components) == (1, 1, {})
    assert report.rereadings <= 8


@pytest.mark.parametrize(("root", "patience"), [(False, PATIENCE_WITHOUT_ROOT_SECONDS), (True, 0.0)])
def test_a_failed_run_may_lack_a_root(observe: Observe, root: bool, patience: float) -> None:
    async def scene(world: World) -> Any:
        details = entries(world.clock, root=root)
        await (await world.start(final_state="FAILED", task_details=details))
        seen = world.clock.now()
        await world.written.wait()
        return world.clock.now() - seen

    assert observe(scene, {"shape": DAG}) == pytest.approx(patience, abs=0.2)


def test_late_tasks_do_not_delay_other_runs(observe: Observe) -> None:
    async def scene(world: World) -> Any:
        never = world.clock.now() + 1e6
        seen = [await world.start(f"late-{number}", tasks_reported=never) for number in range(100)]
        first = world.clock.now()
        await asyncio.gather(*seen)
        among = world.clock.now() - first
        begun = world.clock.now()
        await (await world.start("punctual"))
        return among, world.clock.now() - begun, [record.name for record in world.records]

    among, alone, written = observe(scene, answer_seconds=0.01)
    assert among < 10.0
    assert alone < 8.0
    assert written == ["punctual"]


def test_closing_reads_a_last_time_and_does_not_wait_long(observe: Observe) -> None:
    async def scene(world: World) -> Any:
        now = world.clock.now()
        soon = await world.start("soon", tasks_reported=now + 8.0)
        never = await world.start("never", tasks_reported=now + 1e6)
        await asyncio.gather(soon, never)
        begun = world.clock.now()
        await world.observer.aclose()
        complete = {record.name: record.tasks_complete for record in world.records}
        return world.clock.now() - begun, complete, world.observer.report()

    took, complete, report = observe(scene)
    assert took == pytest.approx(CLOSING_SECONDS, abs=0.01)
    assert complete == {"soon": True, "never": False}
    assert report.incomplete == 1


def test_closing_does_not_wait_for_an_answer_that_does_not_come(observe: Observe) -> None:
    async def scene(world: World) -> Any:
        await (await world.start(tasks_reported=world.clock.now() + 1e6))
        world.kfp.answer_seconds = 1e5
        begun = world.clock.now()
        await world.observer.aclose()
        return world.clock.now() - begun, len(world.records)

    assert observe(scene) == (pytest.approx(CLOSING_SECONDS), 1)


def test_failures_of_further_readings_are_survived(observe: Observe) -> None:
    async def scene(world: World) -> Any:
        await (await world.start(tasks_reported=world.clock.now() + 10.0))
        refused = ApiUnreachable("GetRun", "refused", kind="refused")
        world.kfp.failures["GetRun"] = [refused, ApiStatusError("GetRun", "too large", status=500)]
        await world.written.wait()
        return world.records[0].tasks_complete

    assert observe(scene)


def test_a_run_that_is_deleted_meanwhile_keeps_its_outcome(observe: Observe) -> None:
    async def scene(world: World) -> Any:
        await (await world.start(tasks_reported=world.clock.now() + 1e6))
        world.kfp.runs.clear()
        await world.written.wait()
        return world.records[0], world.observer.report()

    record, report = observe(scene)
    assert (record.outcome, record.tasks_complete) == (Outcome.SUCCEEDED, False)
    assert (report.rereadings, report.incomplete, report.vanished) == (1, 1, 0)


def test_components_do_not_count_the_warm_up(observe: Observe) -> None:
    async def scene(world: World) -> Any:
        details = entries(world.clock)
        for warmup in (True, False, False):
            await (await world.start(warmup=warmup, task_details=details))
        return world.observer.report().components["train"].executed

    assert observe(scene, {"shape": DAG}) == 2


def test_a_run_that_was_terminated_at_once_has_complete_tasks() -> None:
    """As a KFP 2.17.0 shows one: its driver failed, and its root was omitted, which is no state."""
    second = {"start_time": "2026-11-28T21:15:43Z", "end_time": "2026-11-28T21:15:44Z"}
    states = {"hello-jjwm5": "FAILED", "hello-jjwm5(0)": "FAILED", "root-driver": "FAILED"}
    states |= {"root-driver(0)": "FAILED", "root": ""}
    shown = [{"display_name": name, "state": state, **second} for name, state in states.items()]
    details = RunDetails(task_details=msgspec.Raw(msgspec.json.encode(shown)))
    assert completeness(read_nodes(Run(run_id="r", run_details=details))) is Completeness.COMPLETE


@pytest.mark.skipif(not RECORDINGS.is_dir(), reason="there are no recordings beside this repository")
def test_final_tasks_of_a_real_server_are_complete_and_earlier_ones_are_not() -> None:
    found = Counter(
        (run.state, completeness(read_nodes(run)))
        for path in sorted(RECORDINGS.glob("*.json"))
        for run in recorded_runs(path)
    )
    assert found["SUCCEEDED", Completeness.COMPLETE] > 5
    assert found["FAILED", Completeness.COMPLETE] > 2
    # The final state of one recorded run was seen before its final tasks.
    assert found["SUCCEEDED", Completeness.UNDER_WAY] == 1
    assert found["PENDING", Completeness.COMPLETE] == found["RUNNING", Completeness.COMPLETE] == 0


def recorded_runs(path: Path) -> Iterator[Run]:
    """The runs that GetRun showed, with their task entries; those that were retried only at their end."""
    for exchange in json.loads(path.read_text()):
        body = exchange.get("body")
        if exchange.get("method") != "GET" or not isinstance(body, dict) or "run_id" not in body:
            continue
        shown = (body.get("run_details") or {}).get("task_details")
        run = msgspec.json.decode(msgspec.json.encode({**body, "pipeline_spec": None}), type=Run)
        retried = any(change.state in FINAL_STATES for change in run.state_history)
        if isinstance(shown, list) and (run.is_final or not retried):
            yield run


# -- analysis -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stale", [False, True])
def test_the_nodes_of_a_run_that_succeeded_are_analysed_once(
    observe: Observe, monkeypatch: pytest.MonkeyPatch, stale: bool
) -> None:
    analysed: list[int] = []

    def counted(nodes: Any, shape: Any) -> Any:
        analysed.append(len(nodes))
        return entries_of(nodes, shape)

    monkeypatch.setattr(observer, "entries_of", counted)

    async def scene(world: World) -> Any:
        earlier = entries(world.clock, unfinished=True) if stale else []
        reported = world.clock.now() + 13.0
        await (
            await world.start(
                task_details=entries(world.clock), earlier_details=earlier, tasks_reported=reported
            )
        )
        await world.written.wait()
        return world.records[0], world.observer.report().rereadings

    record, rereadings = observe(scene, {"shape": DAG})
    assert record.tasks_complete
    assert rereadings > 2
    assert analysed == [5]


@pytest.mark.parametrize(("most", "offloaded"), [(5, 0), (4, 1)])
@pytest.mark.parametrize("late", [False, True])
def test_large_runs_are_analysed_outside_the_event_loop(
    observe: Observe, monkeypatch: pytest.MonkeyPatch, most: int, offloaded: int, late: bool
) -> None:
    monkeypatch.setattr(observer, "LARGE_RUN_NODES", most)

    async def scene(world: World) -> Any:
        given = {"tasks_reported": world.clock.now() + 10.0} if late else {}
        tracked = await (await world.start(task_details=entries(world.clock), **given))
        outcome = tracked.outcome
        await world.written.wait()
        report = world.observer.report()
        return world.records, outcome, report, asyncio.get_running_loop().offloaded  # type: ignore[attr-defined]

    records, outcome, report, found = observe(scene, {"shape": DAG})
    assert outcome is Outcome.SUCCEEDED
    assert [(one.tasks_complete, [task.name for task in one.tasks]) for one in records] == [(True, ["train"])]
    assert (report.tasks_late, report.incomplete, report.components["train"].executed) == (late, 0, 1)
    assert found == offloaded


def test_an_analysis_that_is_not_over_at_the_end_costs_only_the_tasks(
    observe: Observe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observer, "LARGE_RUN_NODES", 4)

    async def scene(world: World) -> Any:
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "run_in_executor", lambda *_: loop.create_future())
        await (await world.start(task_details=entries(world.clock)))
        begun = world.clock.now()
        await world.observer.aclose()
        return world.records, world.clock.now() - begun

    records, took = observe(scene, {"shape": DAG})
    assert [(one.outcome, one.tasks_complete) for one in records] == [(Outcome.SUCCEEDED, False)]
    assert took == pytest.approx(CLOSING_SECONDS, abs=0.1)
