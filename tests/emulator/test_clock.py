from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from virtual_time import VirtualLoop

from kfp_emulator.clock import SECOND, EventQueue, LoopClock, ManualClock
from kfp_emulator.cluster.timing import load_profile
from kfp_emulator.options import Options, build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def test_events_come_in_the_order_of_their_time_then_of_their_addition() -> None:
    queue = EventQueue()
    seen: list[str] = []

    def note(name: str) -> Callable[[], None]:
        return lambda: seen.append(name)

    for when, name in ((5, "c"), (1, "a"), (5, "d"), (3, "b")):
        queue.push(when, note(name))
    while (event := queue.pop()) is not None:
        event[1]()
    assert seen == ["a", "b", "c", "d"]


def test_a_cancelled_event_does_not_run_and_is_not_the_earliest() -> None:
    queue = EventQueue()
    first = queue.push(1, lambda: None)
    queue.push(2, lambda: None)
    first.cancel()
    first.cancel()
    assert queue.earliest() == 2
    found = queue.pop()
    assert found is not None
    assert found[0] == 2
    assert queue.pop() is None
    assert queue.earliest() is None


def test_a_manual_clock_shows_each_event_its_own_time() -> None:
    clock = ManualClock(100)
    seen: list[int] = []
    clock.call_at(150, lambda: seen.append(clock.now()))

    def add_another() -> None:
        clock.call_at(130, lambda: seen.append(clock.now()))

    clock.call_at(120, add_another)
    clock.call_at(50, lambda: seen.append(clock.now()))
    assert clock.advance_to(140) == 3
    assert seen == [50, 130]
    assert clock.now() == 140
    assert clock.advance(10) == 1
    assert seen == [50, 130, 150]


def test_running_until_idle_gives_up_on_what_never_ends() -> None:
    clock = ManualClock()

    def again() -> None:
        clock.call_at(clock.now() + 1, again)

    again()
    with pytest.raises(RuntimeError, match="still not idle after 100 events"):
        clock.run_until_idle(100)


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    loop = VirtualLoop()
    yield loop
    loop.close()


def test_a_loop_clock_runs_an_hour_of_a_virtual_loop(loop: VirtualLoop) -> None:
    async def main() -> list[int]:
        clock = LoopClock(asyncio.get_running_loop(), wall=1_000 * SECOND)
        seen: list[int] = []
        for when in (4_600, 1_001, 2_800):
            clock.call_at(when * SECOND, lambda: seen.append(clock.now()))
        dropped = clock.call_at(1_500 * SECOND, lambda: seen.append(-1))
        dropped.cancel()
        await asyncio.sleep(3_601)
        assert clock.now() == pytest.approx(4_601 * SECOND, abs=10)
        return seen

    assert loop.run_until_complete(main()) == [1_001 * SECOND, 2_800 * SECOND, 4_600 * SECOND]


def test_a_loop_clock_catches_up_on_the_past_after_the_caller_returned(loop: VirtualLoop) -> None:
    async def main() -> list[int]:
        clock = LoopClock(asyncio.get_running_loop(), wall=1_000 * SECOND)
        seen: list[int] = []
        clock.call_at(10 * SECOND, lambda: seen.append(clock.now()))
        assert not seen
        await asyncio.sleep(0.001)
        return seen

    assert loop.run_until_complete(main()) == [10 * SECOND]


def test_a_loop_clock_lets_others_have_a_turn_between_many_events(loop: VirtualLoop) -> None:
    async def main() -> tuple[int, int]:
        clock = LoopClock(asyncio.get_running_loop(), wall=0)
        done: list[int] = []
        for _ in range(2_000):
            clock.call_at(0, lambda: done.append(1))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        early = len(done)
        await asyncio.sleep(0.01)
        return early, len(done)

    early, late = loop.run_until_complete(main())
    assert early < 2_000
    assert late == 2_000


def test_an_event_that_raises_does_not_stop_the_others(loop: VirtualLoop) -> None:
    async def main() -> list[str]:
        running = asyncio.get_running_loop()
        faults: list[str] = []
        running.set_exception_handler(lambda _, context: faults.append(str(context["exception"])))
        clock = LoopClock(running, wall=0)

        def fail() -> None:
            raise ValueError("one")

        clock.call_at(1 * SECOND, fail)
        clock.call_at(2 * SECOND, lambda: faults.append("two"))
        await asyncio.sleep(3)
        return faults

    assert loop.run_until_complete(main()) == ["one", "two"]


def test_nothing_happens_any_more_after_a_backend_was_closed() -> None:
    async def scenario(*, closed: bool) -> list[str]:
        backend = build(Options(load_profile("instant")))
        happened: list[str] = []
        backend.clock.call_at(backend.clock.now() - 1, lambda: happened.append("before"))
        if closed:
            backend.close()
        backend.clock.call_at(backend.clock.now() - 1, lambda: happened.append("after"))
        for _ in range(5):
            await asyncio.sleep(0)
        backend.close()
        return happened

    assert asyncio.run(scenario(closed=False)) == ["before", "after"]
    assert asyncio.run(scenario(closed=True)) == []
