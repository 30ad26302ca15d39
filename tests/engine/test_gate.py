from __future__ import annotations

import threading

from kfp_perf.engine import StartGate


def test_all_that_are_expected_get_the_same_time_zero_once_the_last_has_come() -> None:
    times = iter([100.0, 200.0])
    gate = StartGate(3, lambda: next(times))
    seen: list[float] = []

    def scenario() -> None:
        gate.arrive()
        seen.append(gate.wait())

    threads = [threading.Thread(target=scenario) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert gate.t0 is None
    gate.arrive()  # the third failed to prepare, and does not wait
    for thread in threads:
        thread.join(timeout=10)
    assert seen == [100.0, 100.0]


def test_one_that_comes_late_passes_at_once_with_the_same_time_zero() -> None:
    gate = StartGate(1, iter([100.0, 200.0]).__next__)
    gate.arrive()
    gate.arrive()
    assert gate.wait() == 100.0


def test_a_release_lets_those_through_that_are_there() -> None:
    gate = StartGate(5, lambda: 7.0)
    gate.arrive()
    gate.release()
    gate.release()
    assert gate.wait() == 7.0
