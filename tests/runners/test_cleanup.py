"""The objects that a clean-up by the journal alone deletes, as after `kill -9`."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from fake_kfp import FakeKfp
from virtual_time import EPOCH, VirtualClock, run_virtually

from kfp_perf.client.messages import RecurringRunSpec, RunSpec
from kfp_perf.errors import ApiStatusError
from kfp_perf.result.journal import Made, ObjectKind
from kfp_perf.runners.cleanup import clean_up

if TYPE_CHECKING:
    from collections.abc import Callable


class Scene:
    """An experiment that a killed test left, with a schedule in it and the runs that the schedule started."""

    def __init__(self, runs: int = 5, **fake: Any) -> None:
        self.clock = VirtualClock()
        self.kfp = FakeKfp(self.clock, **fake)
        self.experiment = self.kfp.new_experiment("kfp-perf-x", "").experiment_id
        self.runs = runs
        self.gone: list[Made] = []

    async def prepare(self) -> list[Made]:
        """Create the schedule and its runs; return the journal's objects, which include no run."""
        spec = RecurringRunSpec(name="kfp-perf-x-0", experiment_id=self.experiment)
        self.schedule = (await self.kfp.create_recurring_run(spec)).recurring_run_id
        for number in range(self.runs):
            self.spawn(number)
        self.kfp.add_run(RunSpec(name="somebody else's", experiment_id=next(iter(self.kfp.experiments))))
        return [
            Made(ObjectKind.RECURRING_RUN, "kfp-perf-x-0", parent=self.experiment, id=self.schedule),
            Made(ObjectKind.EXPERIMENT, "kfp-perf-x", id=self.experiment),
        ]

    def spawn(self, number: int) -> str:
        spec = RunSpec(name=f"kfp-perf-x0abcde-{number}", experiment_id=self.experiment)
        return self.kfp.add_run(spec, recurring_run_id=self.schedule).run_id

    async def clean_up(self, objects: list[Made], seconds: float = 300.0, **more: Any) -> list[str]:
        return await clean_up(
            objects,
            self.kfp,
            self.clock,
            patience_seconds=seconds,
            on_gone=self.gone.append,
            **more,
        )


def play(
    change: Callable[[Scene, list[Made]], None] = lambda _scene, _objects: None,
    scene: Scene | None = None,
    **more: Any,
) -> tuple[Scene, list[str]]:
    scene = scene or Scene()

    async def main() -> list[str]:
        objects = await scene.prepare()
        change(scene, objects)
        return await scene.clean_up(objects, **more)

    return scene, run_virtually(main)


def names(kfp: FakeKfp) -> list[str]:
    return [run.spec.name for run in kfp.runs.values()]


@pytest.mark.parametrize("runs", [0, 5, 450])
def test_runs_that_a_schedule_started_go_with_it_although_no_journal_knows_them(runs: int) -> None:
    scene, left = play(scene=Scene(runs))
    assert left == []
    assert names(scene.kfp) == ["somebody else's"]
    assert not scene.kfp.recurring_runs
    assert len(scene.kfp.experiments) == 1
    assert [made.kind for made in scene.gone] == [ObjectKind.RECURRING_RUN, ObjectKind.EXPERIMENT]


def test_a_schedule_that_never_got_its_id_is_found_by_its_name() -> None:
    def forget(_scene: Scene, objects: list[Made]) -> None:
        objects[0].id = ""

    scene, left = play(forget)
    assert left == []
    assert not scene.kfp.recurring_runs
    assert names(scene.kfp) == ["somebody else's"]


def test_schedules_end_before_anything_else_is_deleted() -> None:
    scene, _ = play()
    changes = [name for name, _ in scene.kfp.calls if name.startswith("Delete")]
    assert changes[0] == "DeleteRecurringRun"
    assert changes[-1] == "DeleteExperiment"
    assert changes.count("DeleteRecurringRun") == 1


def test_a_run_that_shows_up_when_its_schedule_is_gone_goes_with_the_experiment() -> None:
    def late(scene: Scene, _objects: list[Made]) -> None:
        delete = scene.kfp.list_runs
        looks = iter(range(100))

        async def list_runs(query: Any, **given: Any) -> Any:
            page = await delete(query, **given)
            if next(looks) == 1:
                scene.spawn(99)
            return page

        scene.kfp.list_runs = list_runs  # type: ignore[method-assign]

    scene, left = play(late)
    assert left == []
    assert names(scene.kfp) == ["somebody else's"]


def test_runs_that_are_to_be_kept_stay() -> None:
    scene = Scene()

    async def main() -> list[str]:
        schedule, _ = await scene.prepare()
        return await scene.clean_up([schedule], spared={scene.spawn(7)})

    assert run_virtually(main) == []
    assert names(scene.kfp) == ["somebody else's", "kfp-perf-x0abcde-7"]


def test_a_clean_up_goes_on_for_as_long_as_objects_get_deleted() -> None:
    scene = Scene(500, answer_seconds=1.0)

    async def main() -> None:
        objects = await scene.prepare()
        assert await scene.clean_up(objects, seconds=10.0) == []
        assert scene.clock.now() - EPOCH > 500
        assert names(scene.kfp) == ["somebody else's"]

    run_virtually(main)


def test_what_is_left_when_nothing_is_deleted_any_more_is_named_and_found_the_next_time() -> None:
    scene = Scene(50, answer_seconds=11.0)

    async def main() -> None:
        objects = await scene.prepare()
        left = await scene.clean_up(objects, seconds=10.0)
        assert len(left) == 2
        assert "nothing could be deleted any more" in left[0]
        assert not scene.kfp.recurring_runs
        assert 40 < len(scene.kfp.runs) <= 51
        assert await scene.clean_up(objects) == []
        assert names(scene.kfp) == ["somebody else's"]

    run_virtually(main)


def test_a_run_that_cannot_be_deleted_keeps_its_schedule_and_experiment_in_the_journal() -> None:
    def refuse(scene: Scene, _objects: list[Made]) -> None:
        scene.kfp.failures["DeleteRun"] = [ApiStatusError("DeleteRun", "no", status=500)] * 100

    scene, left = play(refuse)
    assert [line.partition(" ")[0] for line in left] == ["recurring_run", "experiment"]
    assert "it still holds runs" in left[1]
    assert scene.gone == []


def test_a_run_that_somebody_else_deletes_meanwhile_does_not_end_the_work() -> None:
    def gone(scene: Scene, _objects: list[Made]) -> None:
        listed = scene.kfp.list_runs

        async def list_runs(query: Any, **given: Any) -> Any:
            page = await listed(query, **given)
            for run in page.items[:1]:
                scene.kfp.runs.pop(run.run_id)
            return page

        scene.kfp.list_runs = list_runs  # type: ignore[method-assign]

    scene, left = play(gone)
    assert left == []
    assert names(scene.kfp) == ["somebody else's"]
    assert len(scene.kfp.experiments) == 1


@pytest.mark.parametrize("from_kfp", [True, False])
def test_only_a_404_of_kfp_itself_counts_a_deletion_as_done(from_kfp: bool) -> None:
    scene = Scene()
    objects = [Made(ObjectKind.RUN, "r", id="1"), Made(ObjectKind.PIPELINE, "p", id="2")]
    for operation in ("DeleteRun", "DeletePipeline"):
        page = ApiStatusError(operation, "not here", status=404, from_kfp=from_kfp)
        scene.kfp.failures[operation] = [page] * 10
    left = run_virtually(lambda: scene.clean_up(objects))
    assert left == ([] if from_kfp else ["run r (1): not here", "pipeline p (2): not here"])
    assert scene.gone == (objects if from_kfp else [])


def test_a_run_of_no_known_experiment_that_cannot_be_deleted_keeps_nothing_else() -> None:
    scene = Scene()
    scene.kfp.failures["DeleteRun"] = [ApiStatusError("DeleteRun", "no", status=403)]

    async def main() -> list[str]:
        await scene.kfp.upload_pipeline(b"", name="p", namespace="")
        return await scene.clean_up([Made(ObjectKind.RUN, "r", id="1"), Made(ObjectKind.PIPELINE, "p")])

    assert run_virtually(main) == ["run r (1): no"]
    assert not scene.kfp.pipelines
    assert [made.name for made in scene.gone] == ["p"]


def test_runs_whose_experiment_is_gone_are_named_as_left() -> None:
    def orphan(scene: Scene, _objects: list[Made]) -> None:
        refusal = ApiStatusError("DeleteRun", f"Experiment {scene.experiment} not found", status=404)
        scene.kfp.failures["DeleteRun"] = [refusal] * 100

    scene, left = play(orphan)
    assert "the experiment of the run" in left[0]
    assert "is gone, so KFP cannot delete it" in left[0]
    assert len(scene.kfp.runs) == 6
    assert scene.gone == []


def test_a_server_that_goes_on_listing_what_it_has_deleted_is_asked_once_for_each() -> None:
    def forgetful(scene: Scene, _objects: list[Made]) -> None:
        asked = scene.kfp.calls

        async def delete_run(run_id: str, **_given: Any) -> None:
            asked.append(("DeleteRun", run_id))

        scene.kfp.delete_run = delete_run  # type: ignore[method-assign]

    scene, left = play(forgetful)
    assert left == []
    # Once for the schedule, and once for the experiment.
    assert scene.kfp.count("DeleteRun") == 2 * scene.runs


def test_a_list_without_end_takes_no_longer_than_there_is_time() -> None:
    def endless(scene: Scene, _objects: list[Made]) -> None:
        listed = scene.kfp.list_runs
        tokens = itertools.count()

        async def list_runs(query: Any, **given: Any) -> Any:
            page = await listed(msgspec.structs.replace(query, page_token=""), **given)
            return msgspec.structs.replace(page, next_page_token=str(next(tokens)))

        scene.kfp.list_runs = list_runs  # type: ignore[method-assign]

    scene, left = play(endless, seconds=60.0)
    assert "nothing could be deleted any more" in left[0]
    assert "it still holds runs" in left[1]
    assert names(scene.kfp) == ["somebody else's"]


@pytest.mark.parametrize("known", [True, False])
def test_a_server_that_knows_no_filters_loses_nothing_of_somebody_else(known: bool) -> None:
    """As a gateway does that drops parameters which it does not know."""

    def simple(scene: Scene, objects: list[Made]) -> None:
        unfiltered = {"filter": (), "experiment_id": "", "namespace": ""}
        for name in ("list_runs", "list_recurring_runs"):
            listed = getattr(scene.kfp, name)

            async def all_of_it(query: Any, listed: Any = listed, **given: Any) -> Any:
                return await listed(msgspec.structs.replace(query, **unfiltered), **given)

            setattr(scene.kfp, name, all_of_it)
        if not known:
            objects[0].id = ""
        # Somebody else's schedule is the first that is listed.
        own = scene.kfp.recurring_runs.pop(scene.schedule)
        scene.kfp.recurring_runs["theirs"] = msgspec.structs.replace(
            own, recurring_run_id="theirs", display_name="theirs"
        )
        scene.kfp.recurring_runs[scene.schedule] = own

    scene, left = play(simple)
    assert left == []
    assert names(scene.kfp) == ["somebody else's"]
    assert list(scene.kfp.recurring_runs) == ["theirs"]
