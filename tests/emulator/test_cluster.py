from __future__ import annotations

import gc
import tracemalloc
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from small_clusters import SLOW, chain
from small_pipelines import START, Draft, Simulation, find, task

from kfp_emulator.clock import SECOND
from kfp_emulator.cluster.outcomes import Outcome
from kfp_emulator.cluster.timing import Profile, constant, load_profile

if TYPE_CHECKING:
    from kfp_emulator.cluster.nodes import Report


def test_an_instant_run_is_reported_once_a_millisecond_later() -> None:
    simulation = Simulation(load_profile("instant"))
    report = simulation.run(chain())
    assert simulation.reports == [report]
    assert (report.phase, report.at, report.finished_at) == ("Succeeded", START + 1_000, START)
    assert report.request is not None
    assert report.request.run_id == "run"
    assert report.workflow_name.startswith("chain-")
    assert {node.history for node in report.nodes} == {((START + 1_000, "Succeeded"),)}
    assert len({node.task_id for node in report.nodes}) == len(report.nodes)


def test_reports_show_a_run_on_its_way() -> None:
    simulation = Simulation(SLOW)
    last = simulation.run(chain(1))
    shown = [report.phase for report in simulation.reports]
    assert shown[0] == "Running"
    assert shown[-1] == "Succeeded"
    history = find(last, "t1-driver").history
    assert [phase for _, phase in history] == ["Pending", "Running", "Succeeded"]
    assert [at for at, _ in history] == sorted(at for at, _ in history)
    for report in simulation.reports[:-1]:
        assert report.finished_at is None
    assert find(last, "t1-driver").task_id == find(simulation.reports[2], "t1-driver").task_id


def test_pods_carry_their_own_times_and_dags_those_of_the_passes() -> None:
    report = Simulation(SLOW).run(chain(1))
    # driver: made at 0, up after 1 s, done after 2 more; the controller looks a second later
    assert find(report, "root-driver").started_at == START
    assert find(report, "root-driver").finished_at == START + 3 * SECOND
    assert find(report, "root").started_at == START + 4 * SECOND
    assert find(report, "executor").started_at == START + 8 * SECOND
    assert find(report, "executor").finished_at == START + 14 * SECOND
    assert find(report, "t1").finished_at == START + 15 * SECOND
    assert report.finished_at == START + 15 * SECOND


def test_a_three_task_chain_on_fast_takes_two_to_four_seconds_and_is_seen_soon() -> None:
    for number in range(20):
        simulation = Simulation(load_profile("fast"), seed=number)
        report = simulation.run(chain())
        assert report.finished_at is not None
        assert 1.5 * SECOND < report.finished_at - START < 4.5 * SECOND
        assert simulation.reports[0].phase == "Running"
        assert simulation.reports[0].at - START < SECOND // 2
        assert report.at - report.finished_at < SECOND // 2


def test_one_task_on_the_real_profile_takes_three_passes_at_least() -> None:
    times = []
    for number in range(20):
        simulation = Simulation(load_profile("kfp-2.17"), seed=number)
        report = simulation.run(chain(1))
        assert report.finished_at is not None
        times.append((report.finished_at - START) / SECOND)
        assert report.at - report.finished_at >= SECOND
    assert min(times) >= 30
    assert max(times) < 200


def test_pods_wait_for_places() -> None:
    profile = replace(SLOW, nodes=2, pods_per_node=1)
    simulation = Simulation(profile)
    draft = Draft()
    draft.container("work")
    simulation.submit(draft.pipeline({f"t{number}": task("work") for number in range(6)}))
    most = 0
    while simulation.cluster.in_flight():
        simulation.clock.advance(SECOND // 2)
        most = max(most, simulation.cluster.waiting_pods())
    assert most == 4
    busy = sorted(
        (event.at_us, 1 if event.what.endswith("start") else -1)
        for event in simulation.truth
        if event.what in {"driver_start", "executor_start", "driver_end", "executor_end"}
    )
    running = peak = 0
    for _, change in busy:
        running += change
        peak = max(peak, running)
    assert peak == 2
    assert simulation.last().phase == "Succeeded"


def test_an_image_is_pulled_once_a_node() -> None:
    simulation = Simulation(Profile(nodes=1, image_pull_seconds=constant(30)))
    first = simulation.run(chain(1), "first")
    second = simulation.run(chain(1), "second")
    assert first.finished_at == START + 60 * SECOND  # KFP's own image, and the component's
    assert second.started_at == second.finished_at


def test_the_throttle_of_kubernetes_writes() -> None:
    simulation = Simulation(Profile(kubernetes_calls_per_second=5, kubernetes_burst=10))
    delays = [simulation.cluster.create_delay() / SECOND for _ in range(20)]
    assert delays[:10] == [0] * 10
    assert delays[10:] == pytest.approx([0.2 * number for number in range(1, 11)])
    simulation.clock.advance(4 * SECOND)
    assert [simulation.cluster.create_delay() for _ in range(10)] == [0] * 10
    assert Simulation().cluster.create_delay() == 0


def test_last_reports_take_their_turns_in_the_throttle() -> None:
    profile = Profile(
        kubernetes_calls_per_second=5, kubernetes_burst=2, final_report_calls=2, report_workers=1
    )
    simulation = Simulation(profile)
    for number in range(10):
        simulation.submit(chain(1), f"run-{number}")
    simulation.clock.run_until_idle()
    at = [(report.at - simulation.reports[0].at) / SECOND for report in simulation.reports]
    assert at == pytest.approx([0, 0, *(0.4 * number for number in range(1, 9))], abs=0.001)


def test_a_report_before_the_controller_acted_has_no_phase() -> None:
    profile = replace(SLOW, controller_workers=1, controller_pass_seconds=constant(30))
    simulation = Simulation(profile)
    simulation.submit(chain(1), "first")
    simulation.submit(chain(1), "second")
    simulation.clock.advance(40 * SECOND)
    waiting = [report for report in simulation.reports if report.run_id == "second"]
    assert waiting[0].phase == ""
    assert waiting[0].nodes == ()
    assert simulation.finish("second").phase == "Succeeded"


def test_the_truth_is_told_in_microseconds() -> None:
    simulation = Simulation(SLOW)
    simulation.run(chain(1))
    told = [(event.what, event.task, (event.at_us - START) / SECOND) for event in simulation.truth]
    assert told == [
        ("queued", "", 0),
        ("pod_start", "", 0.625),
        ("driver_start", "", 1),
        ("driver_end", "", 3),
        ("pod_start", "t1", 4.625),
        ("driver_start", "t1", 5),
        ("driver_end", "t1", 7),
        ("pod_start", "t1", 8.625),
        ("executor_start", "t1", 9),
        ("executor_end", "t1", 14),
        ("task_finished", "t1", 15),
        ("run_finished", "", 15),
    ]


def strip(reports: list[Report]) -> list[Any]:
    return [each._replace(request=None) for each in reports]


def test_the_same_seed_gives_the_same_run_whatever_else_runs() -> None:
    alone = Simulation(load_profile("fast"), seed=5)
    alone.run(chain())
    crowd = Simulation(load_profile("fast"), seed=5)
    for number in range(3):
        crowd.submit(chain(), f"other-{number}")
    crowd.run(chain())
    mine = [report for report in crowd.reports if report.run_id == "run"]
    ends = [(node.display_name, node.phase) for node in mine[-1].nodes]
    assert ends == [(node.display_name, node.phase) for node in alone.reports[-1].nodes]
    again = Simulation(load_profile("fast"), seed=5)
    again.run(chain())
    assert strip(again.reports) == strip(alone.reports)
    other = Simulation(load_profile("fast"), seed=6)
    other.run(chain())
    assert other.last().finished_at != alone.last().finished_at


def test_a_run_of_the_past_catches_up() -> None:
    simulation = Simulation(SLOW)
    request = simulation.submit(chain(1), "now")
    simulation.cluster.submit(replace(request, run_id="past", created_at=START - 3_600 * SECOND))
    simulation.clock.advance(0)
    report = simulation.last("past")
    assert report.phase == "Succeeded"
    assert report.finished_at == START - 3_600 * SECOND + 15 * SECOND
    assert simulation.cluster.in_flight() == 1


def test_outcomes_by_pattern_and_share() -> None:
    simulation = Simulation()
    simulation.cluster.set_outcome(Outcome(task="t?", pipeline="ch*", failures=-1, share=0.5))
    found = [simulation.run(chain(1), f"run-{number}").phase for number in range(60)]
    assert 15 < found.count("Failed") < 45
    simulation.cluster.set_outcome(Outcome(task="t1", seconds=7))
    report = simulation.run(chain(1), "timed")
    assert report.phase == "Succeeded"
    assert report.finished_at is not None
    assert report.finished_at - report.created_at == 7 * SECOND
    assert len(simulation.cluster.outcomes()) == 2
    simulation.cluster.set_outcome(Outcome(pipeline="other", failures=-1))
    assert simulation.run(chain(1), "spared").phase == "Succeeded"


def test_executors_fail_by_the_share_of_the_profile() -> None:
    simulation = Simulation(Profile(executor_failure_share=0.3))
    found = [simulation.run(chain(1), f"run-{number}").phase for number in range(200)]
    assert 35 < found.count("Failed") < 85


def test_the_name_of_a_workflow_is_one_that_kubernetes_takes() -> None:
    simulation = Simulation()
    request = simulation.submit(chain(1))
    for pipeline_name, start in (
        ("namespace/ns/pipeline/My Pipeline.YAML", "my-pipeline-yaml-"),
        ("pipeline/" + "x" * 200, "x" * 57 + "-"),
        ("ÄÖ", "pipeline-"),
    ):
        name = simulation.cluster.submit(replace(request, run_id=pipeline_name, pipeline_name=pipeline_name))
        assert name.startswith(start)
        assert len(name) == len(start) + 5
    simulation.clock.run_until_idle()


def test_runs_in_flight_are_small() -> None:
    pipeline = chain()
    simulation = Simulation(load_profile("kfp-2.17"))
    simulation.cluster._truth = None
    simulation.run(pipeline)
    simulation.reports.clear()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(250):
            simulation.submit(pipeline, f"run-{number}")
        largest = 0
        while simulation.cluster.in_flight() > 125:
            simulation.clock.advance(10 * SECOND)
            simulation.reports.clear()
            largest = max(largest, tracemalloc.get_traced_memory()[0] - before)
    finally:
        tracemalloc.stop()
    assert largest / 250 < 20_000
    simulation.clock.run_until_idle()
    assert simulation.cluster.in_flight() == 0
    assert {report.phase for report in simulation.reports if report.finished_at is not None} == {"Succeeded"}


def _overloaded(*, throttled: bool) -> tuple[float, float]:
    """Return median and maximum of the durations of 240 one-task runs that come at 6 a second, in seconds."""
    profile = Profile(
        controller_requeue_seconds=constant(10),
        controller_pass_seconds=constant(0.03),
        controller_calls_per_second=20 if throttled else 0,
        controller_burst=30,
        driver_seconds=constant(3),
        executor_seconds=constant(5),
    )
    simulation = Simulation(profile, doubled_retry_nodes=True)
    draft = Draft()
    draft.container("say")
    pipeline = draft.pipeline({"say": task("say")})
    for number in range(240):
        simulation.submit(pipeline, f"r{number}")
        simulation.clock.advance(SECOND // 6)
    simulation.clock.run_until_idle()
    ended = [report for report in simulation.reports if report.finished_at is not None]
    durations = sorted(((each.finished_at or 0) - each.created_at) / SECOND for each in ended)
    assert len(durations) == 240
    return durations[120], durations[-1]


def test_the_controllers_throttle_holds_pods_back_when_many_runs_come() -> None:
    free, longest_free = _overloaded(throttled=False)
    median, longest = _overloaded(throttled=True)
    assert free == longest_free == pytest.approx(30.1, abs=0.1)
    assert 33 < median < longest < 60


def test_the_controllers_throttle_is_not_felt_by_a_single_run() -> None:
    profile = Profile(controller_calls_per_second=20, controller_burst=30)
    draft = Draft()
    draft.container("say")
    last = Simulation(profile).run(draft.pipeline({"say": task("say")}))
    assert last.finished_at == last.created_at
