from __future__ import annotations

import asyncio
from typing import Any

import pytest
from virtual_time import EPOCH, VirtualClock, run_virtually

from kfp_perf.errors import ApiStatusError
from kfp_perf.pacing import Drive, DriveReport, Lateness, StopSignal
from kfp_perf.pacing.drive import held_seconds
from kfp_perf.scenario.model import TestScenario
from kfp_perf.scenario.workload import OpenLoad, workload_of


def scenario(**fields: Any) -> TestScenario:
    return TestScenario.model_validate(
        {"mode": "PIPELINE_RUN", "runTime": "60s", "pipelineFileName": "hello.yaml", **fields}
    )


class Recorder:
    """An operation that lasts `seconds` of virtual time, and writes down when it was due and when it began."""

    def __init__(self, clock: VirtualClock, seconds: float = 10.0, *, good: bool = True) -> None:
        self.clock = clock
        self.seconds = seconds
        self.good = good
        self.due: list[float] = []
        self.began: list[float] = []
        self.in_flight = 0
        self.most_in_flight = 0

    async def __call__(self, index: int, due: float) -> bool:
        assert index == len(self.due)
        self.due.append(round(due - EPOCH, 6))
        self.began.append(round(self.clock.now() - EPOCH, 6))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await self.clock.sleep_until(self.clock.now() + self.seconds)
        self.in_flight -= 1
        return self.good


def drive(
    fields: dict[str, Any], seconds: float = 10.0, *, good: bool = True, stop_at: float | None = None
) -> Any:
    """Drive a scenario in virtual time; return the recorder, the report, and when run() and finish() ended."""

    async def main() -> Any:
        clock = VirtualClock()
        test = scenario(**fields)
        recorder = Recorder(clock, seconds, good=good)
        stop = StopSignal()
        if stop_at is not None:
            asyncio.get_running_loop().call_later(stop_at, stop.set)
        one = Drive(
            workload_of(test),
            recorder,
            clock=clock,
            stop=stop,
            start=EPOCH + test.start_seconds,
            end=EPOCH + test.start_seconds + test.run_seconds,
            max_in_flight=test.max_in_flight,
            think_seconds=test.think_seconds,
            seed=1,
        )
        await clock.sleep_until(EPOCH + test.start_seconds, stop)
        report = await one.run()
        ran = clock.now() - EPOCH
        await one.finish()
        return recorder, report, ran, clock.now() - EPOCH

    return run_virtually(main)


def test_slots_are_kept_full_until_the_end_and_no_longer() -> None:
    recorder, report, ran, finished = drive({"numTimes": 3})
    assert recorder.due == [at for at in (0, 10, 20, 30, 40, 50) for _ in range(3)]
    assert recorder.most_in_flight == 3
    assert report.started == 18
    assert (ran, finished) == (60, 60)


def test_operations_under_way_at_the_end_are_finished_and_none_is_started() -> None:
    _recorder, report, ran, finished = drive({"numTimes": 2}, seconds=45)
    assert report.started == 4
    assert (ran, finished) == (60, 90)


def test_think_time_lies_between_the_operations_of_a_slot_and_counts_to_due() -> None:
    recorder, *_ = drive({"numTimes": 1, "thinkTime": "5s"})
    assert recorder.due == [0, 15, 30, 45]
    assert recorder.began == recorder.due


def test_a_slot_whose_operation_fails_backs_off_and_says_for_how_long() -> None:
    recorder, report, *_ = drive({"numTimes": 1, "runTime": "10min"}, seconds=0, good=False)
    gaps = [later - earlier for earlier, later in zip(recorder.due, recorder.due[1:], strict=False)]
    assert gaps[0] < 0.5 < gaps[2] < gaps[4]
    assert max(gaps) <= 30
    assert report.started < 60, "a target that refuses must not be hammered"
    assert 500 < report.idle_slot_seconds <= report.slot_seconds
    assert report.slot_seconds == pytest.approx(600)


@pytest.mark.parametrize("seconds", [0, 0.2, 8.9])
def test_slots_stand_empty_only_within_the_load(seconds: float) -> None:
    fields = {"numTimes": 2, "runTime": "9s"}
    _, report, ran, finished = drive(fields, seconds=seconds, good=False)
    assert report.slot_seconds == pytest.approx(18)
    busy = report.started * seconds if seconds < 1 else 2 * seconds
    assert report.idle_slot_seconds == pytest.approx(18 - busy, abs=2 * seconds if seconds < 1 else 1e-3)
    assert (ran, finished) == (9, pytest.approx(9, abs=seconds))


def test_no_slot_stands_empty_after_the_load_was_stopped() -> None:
    _, report, *_ = drive({"numTimes": 2, "runTime": "10min"}, seconds=0, good=False, stop_at=100)
    assert report.slot_seconds == pytest.approx(200)
    assert report.idle_slot_seconds == pytest.approx(200)


def test_a_slot_that_the_load_does_not_want_any_more_does_not_stand_empty() -> None:
    stages = [
        {"duration": "60s", "target": 4},
        {"duration": 0, "target": 1},
        {"duration": "60s", "target": 1},
    ]
    _, report, *_ = drive({"stages": stages, "runTime": "120s"}, seconds=0, good=False)
    assert report.idle_slot_seconds == pytest.approx(report.slot_seconds, abs=1e-3)
    assert report.slot_seconds == pytest.approx(2 * 60 + 60, rel=0.2)


def test_think_time_is_not_counted_as_standing_empty() -> None:
    _, report, *_ = drive({"numTimes": 1, "thinkTime": "31s", "runTime": "10min"}, seconds=0, good=False)
    assert report.idle_slot_seconds == 0


def test_an_open_load_does_not_wait_for_earlier_operations() -> None:
    recorder, _report, ran, finished = drive({"arrivalRate": "6/min"}, seconds=100)
    assert recorder.due == [0, 10, 20, 30, 40, 50]
    assert recorder.began == recorder.due
    assert (ran, finished) == (60, 150)


@pytest.mark.parametrize(("load", "rests"), [({"arrivalRate": "2/min"}, True), ({"numTimes": 1}, False)])
def test_an_open_load_rests_while_nothing_is_due(load: dict[str, Any], rests: bool) -> None:
    async def main() -> list[bool]:
        clock = VirtualClock()
        recorder = Recorder(clock, 10)
        one = Drive(
            workload_of(scenario(**load)),
            recorder,
            clock=clock,
            stop=StopSignal(),
            start=EPOCH,
            end=EPOCH + 60,
        )
        driving = asyncio.ensure_future(one.run())
        seen = []
        for when in (5, 20, 35, 50):
            await clock.sleep_until(EPOCH + when)
            seen.append(one.resting)
        await driving
        await one.finish()
        return seen

    assert run_virtually(main) == [False, rests, False, rests]


def test_max_in_flight_holds_operations_back_and_their_due_time_stays() -> None:
    recorder, report, *_ = drive({"arrivalRate": "6/min", "maxInFlight": 1}, seconds=15)
    assert recorder.due == [0, 10, 20, 30]
    assert recorder.began == [0, 15, 30, 45]
    assert report.held_back == 4, "the fifth was held until the end came"
    assert report.held_back_seconds == pytest.approx(5 + 10 + 15 + 20)
    assert report.longest_hold_seconds == pytest.approx(20)
    assert report.never_started == 2, "the fifth, and the sixth, which was due at 50 s"


@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
@pytest.mark.parametrize("limit", [None, 1])
def test_operations_that_are_held_back_are_due(arrivals: str, limit: int | None) -> None:
    async def main() -> None:
        clock = VirtualClock()
        load = workload_of(scenario(arrivalRate="10/s", arrivals=arrivals, seed=3))
        assert isinstance(load, OpenLoad)
        recorder, stop = Recorder(clock, seconds=15), StopSignal()
        one = Drive(load, recorder, clock=clock, stop=stop, start=EPOCH, end=EPOCH + 60, max_in_flight=limit)
        times = [when for index in range(2000) if (when := load.due(index)) is not None]
        driving = asyncio.ensure_future(one.run())
        for when in (0.01, 20.05, 40.05, 59.99):
            await clock.sleep_until(EPOCH + when)
            assert one.due() == sum(due <= when for due in times)
        await driving
        assert one.due() == one.report.started + one.report.never_started == len(times)

    run_virtually(main)


def test_operations_that_a_stop_held_back_for_good_are_not_due_any_more() -> None:
    async def main() -> None:
        clock, stop = VirtualClock(), StopSignal()
        load = workload_of(scenario(arrivalRate="10/s"))
        one = Drive(
            load, Recorder(clock), clock=clock, stop=stop, start=EPOCH, end=EPOCH + 60, max_in_flight=1
        )
        asyncio.get_running_loop().call_later(5.0, stop.set)
        await one.run()
        assert one.due() == one.report.started == 1
        await one.finish()

    run_virtually(main)


def test_operations_that_are_overdue_behind_a_held_back_one_are_held_back_and_not_late() -> None:
    async def main() -> tuple[DriveReport, Lateness, list[float]]:
        clock, lateness = VirtualClock(), Lateness()
        held: list[float] = []

        async def operation(index: int, due: float) -> bool:
            held.append(held_seconds.get())
            # All that is in flight ends at once, every 20 s, as at one look at the server.
            passed = clock.now() - EPOCH
            await clock.sleep_until(EPOCH + 20.0 * (passed // 20.0 + 1.0))
            return True

        test = scenario(arrivalRate="30/min", maxInFlight=4)
        one = Drive(
            workload_of(test),
            operation,
            clock=clock,
            stop=StopSignal(),
            start=EPOCH,
            end=EPOCH + 60,
            max_in_flight=4,
            lateness=lateness,
        )
        report = await one.run()
        await one.finish()
        return report, lateness, held

    report, lateness, held = run_virtually(main)
    assert held[:8] == pytest.approx([0, 0, 0, 0, 12, 10, 8, 6]), "due at 8, 10, 12 and 14 s, started at 20 s"
    assert report.held_back >= 8
    assert (lateness.late_starts, lateness.starts) == (0, report.started)


def test_stages_of_slots_grow_and_shrink() -> None:
    stages = [{"duration": 0, "target": 1}, {"duration": "20s", "target": 1}, {"duration": 0, "target": 4}]
    stages += [
        {"duration": "20s", "target": 4},
        {"duration": 0, "target": 2},
        {"duration": "20s", "target": 2},
    ]
    recorder, *_ = drive({"stages": stages}, seconds=5)
    by_time = {at: recorder.due.count(at) for at in sorted(set(recorder.due))}
    assert by_time == {at: 1 if at < 20 else 4 if at < 40 else 2 for at in range(0, 60, 5)}


@pytest.mark.parametrize(
    "fields", [{"numTimes": 2}, {"arrivalRate": "60/min"}, {"arrivalRate": "60/min", "maxInFlight": 1}]
)
def test_the_stop_signal_ends_the_starting_at_once(fields: dict[str, Any]) -> None:
    recorder, _report, ran, _finished = drive(fields, seconds=30, stop_at=7.5)
    assert ran == 7.5
    assert max(recorder.began) < 7.5


def test_a_start_in_the_future_is_waited_for() -> None:
    recorder, _report, ran, _ = drive({"numTimes": 1, "startTime": "30s"}, seconds=60)
    assert recorder.due == [30]
    assert ran == 90


@pytest.mark.parametrize("fields", [{"numTimes": 1}, {"arrivalRate": "60/min"}])
def test_a_failed_call_is_a_failed_operation_and_the_drive_goes_on(fields: dict[str, Any]) -> None:
    async def main() -> DriveReport:
        clock, stop = VirtualClock(), StopSignal()

        async def failing(index: int, due: float) -> bool:
            await clock.sleep_until(clock.now() + 0.5)
            if index % 2:
                raise ApiStatusError("GetHealthz", "Service Unavailable", status=503)
            return index % 4 == 0

        load = workload_of(scenario(**fields))
        one = Drive(load, failing, clock=clock, stop=stop, start=EPOCH, end=EPOCH + 60, seed=1)
        await one.run()
        await one.finish()
        assert not stop.is_set()
        assert clock.now() - EPOCH >= 60
        return one.report

    report = run_virtually(main)
    assert report.started > 20
    assert report.failed == sum(index % 4 != 0 for index in range(report.started))


@pytest.mark.parametrize("fields", [{"numTimes": 3}, {"arrivalRate": "60/min"}])
def test_a_bug_in_an_operation_stops_the_drive_and_is_raised(fields: dict[str, Any]) -> None:
    async def main() -> None:
        clock = VirtualClock()
        test = scenario(**fields)

        async def broken(index: int, due: float) -> bool:
            await clock.sleep_until(clock.now() + 3)
            raise ZeroDivisionError(index)

        stop = StopSignal()
        one = Drive(workload_of(test), broken, clock=clock, stop=stop, start=EPOCH, end=EPOCH + 60)
        with pytest.raises(ZeroDivisionError):
            await one.run()
        assert stop.is_set()
        assert clock.now() - EPOCH == 3

    run_virtually(main)
