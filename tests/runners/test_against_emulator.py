"""The modes over real sockets, in virtual time, against a server that records the true times."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from emulated import Emulated
from measured import metrics_of

from kfp_perf.client.protocol import ListQuery
from kfp_perf.metrics.schedule import ScheduleMetrics
from kfp_perf.result.journal import Journal, left_behind
from kfp_perf.result.records import Purpose
from kfp_perf.runners.cleanup import clean_up
from kfp_perf.scenario.model import DEFAULT_MIX

if TYPE_CHECKING:
    from pathlib import Path

    from kfp_perf.client import KfpClient

NOTHING = {"runs": 0, "recurring_runs": 0, "experiments": 1, "pipelines": 0, "versions": 0}
SCHEDULED = {"mode": "PIPELINE_SCHEDULED_RUN", "pipelineFileName": "hello.yaml"}


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.jsonl")


def schedule_metrics(played: Emulated) -> dict[str, Any]:
    family = ScheduleMetrics()
    for record in played.records:
        family.on_run(record)
    return family.result()


@pytest.mark.parametrize(("api_ahead", "cluster_ahead"), [(-3.4, -3.4), (700.0, 700.0), (0.6, 3.9)])
def test_the_drift_of_scheduled_runs_is_within_its_bound_of_the_truth(
    api_ahead: float, cluster_ahead: float
) -> None:
    submitted: dict[str, float] = {}

    async def truth_of(played: Emulated, _client: KfpClient) -> None:
        rows = played.backend.store.all("SELECT id, submitted_us FROM runs")
        submitted.update((run_id, at / 1e6) for run_id, at in rows)

    played = Emulated(
        {**SCHEDULED, "interval": "1min", "runTime": "20min", "numTimes": 8},
        "kfp-2.17",
        clean_up=False,
        afterwards=truth_of,
        clock_offset_seconds=api_ahead,
        cluster_clock_offset_seconds=cluster_ahead,
    )
    assert played.error is None
    told = schedule_metrics(played)
    assert told["missed"] == told["doubled"] == told["unscheduled"] == 0
    # The last slot of each is due just when it is disabled.
    assert 8 * 19 <= told["started"] <= 8 * 20
    inside = 0
    for record in played.records:
        assert record.slot is not None
        assert record.drift_seconds is not None
        # The slot is a time of the cluster's clock, the truth one without its offset.
        truth = submitted[record.run_id] + cluster_ahead - record.slot
        inside += abs(record.drift_seconds - truth) <= (record.drift_error_seconds or 0)
    assert inside >= 0.99 * len(played.records)
    # The controller looks each 30 s, and once each 10 s after it started a run.
    assert 5 < told["drift_seconds"]["mean"] < 25
    assert told["drift_seconds"]["max"] < 31


def test_a_standard_cron_fires_when_it_says(journal: Journal) -> None:
    played = Emulated({**SCHEDULED, "cron": "*/5 * * * *", "runTime": "32min"}, "kfp-2.17", journal=journal)
    assert played.error is None
    slots = [record.slot for record in played.records]
    assert len(slots) in {6, 7}
    assert all(slot is not None and slot % 300 == 0 for slot in slots)
    assert played.left == NOTHING


def test_between_its_slots_a_scheduled_scenario_rests(journal: Journal) -> None:
    resting: list[bool] = []

    async def look(played: Emulated, _client: KfpClient) -> None:
        while played.clock.now() < played.runner.end_at:
            resting.append(played.runner.resting)
            await played.clock.sleep_until(played.clock.now() + 10)

    played = Emulated(
        {**SCHEDULED, "interval": "5min", "runTime": "15min"}, "kfp-2.17", journal=journal, meanwhile=look
    )
    assert played.error is None
    # A run is waited for, or in flight, for about a minute after each slot.
    changes = sum(before is not after for before, after in pairwise(resting))
    assert 4 <= changes <= 7
    assert resting.count(True) > resting.count(False)


def test_a_schedule_that_is_too_tight_falls_behind_and_it_shows(journal: Journal) -> None:
    played = Emulated({**SCHEDULED, "interval": "5s", "runTime": "10min"}, "kfp-2.17", journal=journal)
    told = schedule_metrics(played)
    # About one run each 10 s is all that the controller starts, so every other slot of 120 waits in the end.
    assert 35 < told["started"] < 65
    assert told["missed"] > 40
    assert told["started"] + told["missed"] + played.told["schedules"].undecided == pytest.approx(120, abs=2)
    assert told["drift_seconds"]["max"] > 200
    assert played.told["schedules"].late > played.told["schedules"].on_time
    assert played.left == NOTHING


@pytest.mark.parametrize("seconds", [0.05, 61.0, 130.0, 250.0])
def test_after_a_kill_the_journal_is_enough_to_delete_everything(journal: Journal, seconds: float) -> None:
    async def clean(played: Emulated, client: KfpClient) -> None:
        now = played.clock.now()
        await clean_up(
            left_behind(journal.path),
            client,
            played.clock,
            patience_seconds=300.0,
            on_gone=lambda made: journal.gone(made.kind, made.name),
        )
        # Runs that are started but have not been reported yet show up only now, if at all.
        await played.clock.sleep_until(now + 120)

    played = Emulated(
        {**SCHEDULED, "interval": "20s", "runTime": "10min", "numTimes": 6},
        "kfp-2.17",
        journal=journal,
        killed_after=seconds,
        clean_up=False,
        afterwards=clean,
    )
    assert played.left == NOTHING
    assert left_behind(journal.path) == []


def test_readers_read_what_they_find_and_count_apart_what_is_gone(journal: Journal) -> None:
    async def delete_some(played: Emulated, client: KfpClient) -> None:
        await played.clock.sleep_until(played.runner.start_at + 30)
        for run in (await client.list_runs(ListQuery(page_size=30))).items:
            await client.delete_run(run.run_id)
        for pipeline in (await client.list_pipelines(ListQuery(page_size=3))).items:
            await client.delete_pipeline(pipeline.pipeline_id, cascade=True)

    played = Emulated(
        {
            "mode": "RANDOM_GETS",
            "numTimes": 20,
            "seed": 3,
            "prefill": {"experiments": 5, "pipelines": 6, "versions": 60, "runs": 120},
        },
        journal=journal,
        meanwhile=delete_some,
    )
    assert played.error is None
    reads = played.told["reads"]
    assert reads.failed == 0
    assert reads.gone > 10
    assert reads.later_pages > 50
    assert reads.deepest_page >= 6
    loads = [sample for sample in played.samples if sample.purpose is Purpose.LOAD]
    assert {sample.operation for sample in loads} == set(DEFAULT_MIX)
    assert not [sample for sample in loads if sample.error]
    api = metrics_of(samples=played.samples)["api"]["load"]
    gone = {name: operation["gone"] for name, operation in api.items()}
    assert sum(count for name, count in gone.items() if "." not in name) == reads.gone
    of_variants = sum(count for name, count in gone.items() if name.startswith("ListRuns."))
    assert of_variants == gone["ListRuns"]
    assert played.left == NOTHING


def test_readers_of_a_multi_user_server_stay_in_their_namespace(journal: Journal) -> None:
    played = Emulated(
        {"mode": "RANDOM_GETS", "numTimes": 5, "prefill": {"experiments": 2, "versions": 3, "runs": 3}},
        journal=journal,
        multi_user=True,
        config={"IS_KUBEFLOW_MODE": True, "NAMESPACE": "team-a", "KFP_USER": "ann@example.com"},
    )
    assert played.error is None
    assert played.told["reads"].failed == 0
    assert played.left == {**NOTHING, "experiments": 0}


def test_uploads_of_a_stated_size_are_taken(journal: Journal) -> None:
    played = Emulated(
        {
            "mode": "PIPELINE_UPLOAD",
            "arrivalRate": "20/min",
            "arrivals": "poisson",
            "seed": 1,
            "size": "60KB",
        },
        journal=journal,
    )
    assert played.error is None
    report = played.told["uploads"]
    assert report.pipelines + report.versions == played.told["load"].started
    assert report.versions > 5
    assert report.failed == 0
    assert played.left == NOTHING


@pytest.mark.parametrize("mode", ["PIPELINE_RUN", "EXPERIMENT", "PIPELINE_UPLOAD", "PIPELINE_SCHEDULED_RUN"])
def test_every_mode_finds_the_rows_that_it_asks_for_counted_apart(journal: Journal, mode: str) -> None:
    fields: dict[str, Any] = {"mode": mode, "pipelineFileName": "hello.yaml"}
    if mode == "PIPELINE_SCHEDULED_RUN":
        fields["interval"] = "10s"
    prefill = {"experiments": 3, "pipelines": 2, "versions": 5, "runs": 7}
    rows: list[int] = []

    async def count(_played: Emulated, client: KfpClient) -> None:
        rows.append((await client.list_runs(ListQuery())).total_size)

    played = Emulated({**fields, "prefill": prefill}, journal=journal, meanwhile=count)
    assert played.error is None
    report = played.told["prefill"]
    assert [report.experiments, report.pipelines, report.versions, report.runs] == [3, 2, 5, 7]
    assert (report.failed, report.unfinished_runs) == (0, 0)
    assert rows == [7]
    made = Counter(sample.operation for sample in played.samples if sample.purpose is Purpose.SETUP)
    assert made["CreateRun"] == 7
    assert made["UploadPipelineVersion"] == 5
    assert not {record.name for record in played.records if "prefill" in record.name}
    assert played.left == NOTHING


def test_two_runners_leave_each_other_alone(tmp_path: Path) -> None:
    """A clean-up by one journal does not touch what another test made."""
    mine, others = Journal(tmp_path / "mine"), Journal(tmp_path / "others")
    kept: list[str] = []

    async def beside(played: Emulated, client: KfpClient) -> None:
        experiment = await client.create_experiment("kfp-perf-t-other")
        kept.append(experiment.experiment_id)
        await asyncio.sleep(0)
        assert played.runner.experiment_id != experiment.experiment_id

    played = Emulated({**SCHEDULED, "interval": "10s"}, journal=mine, meanwhile=beside)
    assert played.left == {**NOTHING, "experiments": 2}
    assert left_behind(others.path) == left_behind(mine.path) == []


def test_what_max_in_flight_holds_back_is_latency_but_not_the_generator_s_lateness(journal: Journal) -> None:
    played = Emulated(
        {
            "mode": "PIPELINE_RUN",
            "pipelineFileName": "hello.yaml",
            "arrivalRate": "2/s",
            "maxInFlight": 1,
            "runTime": "20s",
        },
        journal=journal,
    )
    assert played.error is None
    assert played.told["load"].held_back > 5
    metrics = metrics_of(samples=played.samples)
    assert metrics["api"]["load"]["CreateRun"]["latency_seconds"]["longest_answered"] > 5.0
    assert metrics["generator"]["lateness_seconds"]["max"] < 0.1
