from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fake_kfp import FakeKfp
from played import Played, at

from kfp_perf.errors import ApiInterrupted, ApiStatusError, RunnerError
from kfp_perf.pipelines.generate import generate_pipeline
from kfp_perf.result.journal import Journal, ObjectKind, left_behind
from kfp_perf.result.records import CallOutcome, Purpose

if TYPE_CHECKING:
    from pathlib import Path

    from virtual_time import VirtualClock


def play(server: Any = FakeKfp, journal: Journal | None = None, **fields: Any) -> Played:
    return Played({"mode": "PIPELINE_UPLOAD", **fields}, server=server, journal=journal, clean_up=False)


def uploads(played: Played) -> list[tuple[str, float]]:
    start = played.runner.start_at
    return [
        (sample.operation.removeprefix("Upload"), round(sample.due - start, 3))
        for sample in sorted(played.samples, key=lambda sample: sample.due)
        if sample.purpose is Purpose.LOAD
    ]


def test_upload_i_is_due_at_its_share_of_the_run_time_from_zero_on() -> None:
    assert uploads(play(numTimes=4)) == [
        ("Pipeline", 0.0),
        ("PipelineVersion", 15.0),
        ("Pipeline", 30.0),
        ("PipelineVersion", 45.0),
    ]


def test_uploads_arrive_at_a_rate_whether_or_not_earlier_ones_were_answered() -> None:
    played = play(lambda clock: FakeKfp(clock, answer_seconds=25), arrivalRate="6/min")
    # No pipeline is confirmed before 25 s: until then there is none that could get a version.
    assert uploads(played) == [
        ("Pipeline", 0.0),
        ("Pipeline", 10.0),
        ("Pipeline", 20.0),
        ("PipelineVersion", 30.0),
        ("Pipeline", 40.0),
        ("PipelineVersion", 50.0),
    ]
    assert played.ended == pytest.approx(75)


def test_uploads_that_were_held_back_until_the_end_are_recorded_as_never_started() -> None:
    played = play(lambda clock: FakeKfp(clock, answer_seconds=25), arrivalRate="6/min", maxInFlight=1)
    never = [sample for sample in played.samples if sample.outcome is CallOutcome.NEVER_STARTED]
    assert [sample.operation for sample in never] == [
        "UploadPipelineVersion",
        "UploadPipeline",
        "UploadPipelineVersion",
    ]
    assert [sample.due - played.runner.start_at for sample in never] == [30, 40, 50]
    assert all(not sample.attempts and sample.ended == played.runner.end_at for sample in never)
    assert played.told["load"].started + len(never) == len(uploads(played)) == 6


def test_names_are_unique_and_begin_as_all_of_the_scenarios_do() -> None:
    played = play(numTimes=10)
    names = [argument for operation, argument in played.kfp.calls if operation.startswith("Upload")]
    assert len(set(names)) == 10
    assert all(name.startswith(played.runner.prefix) for name in names)
    report = played.told["uploads"]
    assert (report.pipelines, report.versions, report.failed) == (5, 5, 0)


@pytest.mark.parametrize(
    ("fields", "size"), [({}, 10_000), ({"size": "100KB"}, 100_000), ({"size": 2_000}, 2_000)]
)
def test_without_a_file_pipelines_are_made_up_to_a_size(fields: dict[str, Any], size: int) -> None:
    played = play(**fields)
    assert played.kfp.contents == [generate_pipeline(size)]
    assert size * 0.9 - 700 < played.told["uploads"].size_bytes <= size


def test_a_file_is_uploaded_as_it_is_but_for_caching() -> None:
    played = play(pipelineFileName="hello.yaml")
    (content,) = played.kfp.contents
    assert b"kfp-perf-hello" in content
    assert b"cachingOptions: {}" in content


def test_clean_up_deletes_pipelines_with_their_versions(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    played = Played({"mode": "PIPELINE_UPLOAD", "numTimes": 20}, journal=journal)
    assert played.told["uploads"].pipelines == 10
    assert not played.kfp.pipelines
    assert not played.kfp.versions
    assert left_behind(journal.path) == []


def test_an_upload_that_got_no_answer_is_found_by_its_name_when_cleaning_up(tmp_path: Path) -> None:
    def losing_an_answer(clock: VirtualClock) -> FakeKfp:
        kfp = FakeKfp(clock)
        upload = kfp.upload_pipeline
        lost = iter([True])

        async def upload_pipeline(content: bytes, **given: Any) -> Any:
            pipeline = await upload(content, **given)
            if next(lost, False):
                raise ApiInterrupted("UploadPipeline", "the connection was reset", kind="reset")
            return pipeline

        kfp.upload_pipeline = upload_pipeline  # type: ignore[method-assign]
        return kfp

    journal = Journal(tmp_path / "j")
    played = Played({"mode": "PIPELINE_UPLOAD", "numTimes": 3}, server=losing_an_answer, journal=journal)
    report = played.told["uploads"]
    assert (report.pipelines, report.versions, report.failed) == (2, 0, 1)
    assert not played.kfp.pipelines
    assert left_behind(journal.path) == []


def test_refused_uploads_are_counted_and_leave_nothing_in_the_journal(tmp_path: Path) -> None:
    def refusing(clock: VirtualClock) -> FakeKfp:
        kfp = FakeKfp(clock)
        refusal = ApiStatusError("UploadPipeline", "Failed to create a pipeline", status=409)
        kfp.failures["UploadPipeline"] = [refusal] * 100
        return kfp

    journal = Journal(tmp_path / "j")
    played = play(refusing, journal, numTimes=6)
    assert isinstance(played.error, RunnerError)
    assert "Not one of 6 uploads succeeded" in str(played.error)
    assert played.told["uploads"].failed == played.told["load"].started == 6
    assert "Failed to create a pipeline" in str(played.error)
    assert left_behind(journal.path) == []


def test_a_request_to_stop_ends_the_uploads(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    played = Played(
        {"mode": "PIPELINE_UPLOAD", "numTimes": 60},
        meanwhile=lambda played: at(20.5, played.runner.request_stop),
        journal=journal,
    )
    assert played.error is None
    assert len(uploads(played)) == 21
    assert played.ended < 22
    assert not played.kfp.pipelines
    assert not [made for made in left_behind(journal.path) if made.kind is ObjectKind.PIPELINE]
