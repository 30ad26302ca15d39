from __future__ import annotations

import asyncio
import math
import threading
import time

import pytest

from kfp_perf.pacing import RealClock, StopSignal


def test_the_clock_tells_wall_time_and_never_steps_back() -> None:
    clock = RealClock()
    assert clock.now() == pytest.approx(time.time(), abs=60)
    times = [clock.now() for _ in range(1000)]
    assert times == sorted(times)


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, None], ids=["asyncio", "uvloop"])
def test_sleepers_wake_in_the_order_in_which_they_are_due(loop_factory: object) -> None:
    woken: list[int] = []

    async def sleep(clock: RealClock, number: int, seconds: float) -> None:
        assert await clock.sleep_until(clock.now() + seconds)
        woken.append(number)

    async def main() -> None:
        clock = RealClock()
        await asyncio.gather(
            sleep(clock, 3, 0.03), sleep(clock, 1, 0.01), sleep(clock, 2, 0.02), sleep(clock, 0, -1)
        )

    if loop_factory is None:
        uvloop = pytest.importorskip("uvloop")
        loop_factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:  # type: ignore[arg-type]
        runner.run(main())
    assert woken == [0, 1, 2, 3]


def test_a_wait_never_ends_before_its_time() -> None:
    async def main() -> list[float]:
        clock = RealClock()
        early = []
        for _ in range(200):
            due = clock.now() + 0.0005
            await clock.sleep_until(due)
            early.append(clock.now() - due)
        return early

    assert min(asyncio.run(main())) >= 0


def test_stop_from_another_thread_wakes_every_sleeper() -> None:
    stop = StopSignal()

    async def main() -> list[bool]:
        clock = RealClock()
        sleepers = [
            asyncio.ensure_future(clock.sleep_until(when, stop)) for when in (clock.now() + 3600, math.inf)
        ]
        await asyncio.sleep(0)
        threading.Thread(target=stop.set).start()
        return await asyncio.gather(*sleepers)

    assert asyncio.run(main()) == [False, False]
    assert stop.is_set()


def test_a_stop_that_has_come_already_ends_a_wait_at_once() -> None:
    stop = StopSignal()
    stop.set()
    stop.set()
    clock = RealClock()
    assert asyncio.run(clock.sleep_until(clock.now() + 3600, stop)) is False
    assert clock.block_until(clock.now() + 3600, stop) is False


def test_a_loop_around_a_wait_that_was_stopped_lets_others_work() -> None:
    async def main() -> int:
        clock, stop = RealClock(), StopSignal()
        stop.set()
        others = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(others.set_result, None)
        for turns in range(1000):
            if others.done():
                return turns
            await clock.sleep_until(clock.now() + 1.0, stop)
        return -1

    assert asyncio.run(main()) == 1


def test_someone_else_can_wake_a_sleeper_with_a_future() -> None:
    async def main() -> bool:
        clock = RealClock()
        wake = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(wake.set_result, True)
        return await clock.sleep_until(clock.now() + 3600, None, wake)

    assert asyncio.run(main()) is True


def test_one_clock_serves_one_loop_after_another() -> None:
    clock = RealClock()
    for _ in range(3):
        assert asyncio.run(clock.sleep_until(clock.now() + 0.001))


def test_loops_without_a_timerfd_wait_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kfp_perf.pacing.timers._library", None)
    clock = RealClock()
    due = clock.now() + 0.002
    assert asyncio.run(clock.sleep_until(due))
    assert clock.now() >= due - 0.001  # a loop's own timers may be early by their resolution


def test_wall_time_is_read_when_told_to_and_waits_go_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RealClock, "_anchor", RealClock._anchor - 7200.0)
    clock = RealClock()
    assert clock.now() < time.time() - 7000.0
    RealClock.read_wall_time()
    assert clock.now() == pytest.approx(time.time(), abs=60)

    async def wait() -> bool:
        return await clock.sleep_until(clock.now() + 0.001)

    assert asyncio.run(wait())
