from __future__ import annotations

import subprocess
import sys
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


#: Signals that come while the signal before is handled, as often as it takes to meet every step.
_SIGNALS = """
import signal
from kfp_perf.engine import StartGate
from kfp_perf.pacing import StopSignal

times = iter(range(10**9))
gate, stop = StartGate(1, lambda: float(next(times))), StopSignal()
seen = 0

def interrupt(*_):
    global seen
    seen += 1
    stop.set()
    gate.release()

signal.signal(signal.SIGALRM, interrupt)
signal.setitimer(signal.ITIMER_REAL, 3e-4, 3e-4)
while seen < 2000:
    gate, stop = StartGate(1, lambda: float(next(times))), StopSignal()
    stop.set()
    assert stop.wait(0.0)
    gate.arrive()
    assert gate.wait() == gate.t0 == gate.wait()
signal.setitimer(signal.ITIMER_REAL, 0.0)
"""


def test_a_signal_handler_may_stop_and_release_at_any_moment() -> None:
    # A deadlock shows as a process that does not end.
    subprocess.run([sys.executable, "-c", _SIGNALS], check=True, timeout=120)


def test_a_release_while_time_zero_is_being_set_does_not_change_it() -> None:
    times = iter([1.0, 2.0])

    def now() -> float:
        if (moment := next(times)) == 1.0:
            gate.release()  # a signal handler, just here
        return moment

    gate = StartGate(1, now)
    gate.arrive()
    assert gate.wait() == gate.t0 == 2.0
