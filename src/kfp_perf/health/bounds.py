"""The bounds within which the generator's own part in the figures is small; beyond them, they are not valid."""

from __future__ import annotations

from dataclasses import dataclass

from kfp_perf.pacing.lateness import LATE_SECONDS

#: The length in seconds of the windows in which a test is judged.
WINDOW_SECONDS = 1.0
#: A resource is saturated if it was beyond its bound for this many windows and for this share of the time: a few
#: late samples are no saturation, but a minute of them is, even within an hour. A window that lasted longer because
#: the process was suspended counts as several.
FEWEST_WINDOWS = 5.0
SMALLEST_SHARE = 0.02
#: A generator that was suspended for this long at a time makes the result invalid, however long the test is.
STANDSTILL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Bound:
    """The bound of a resource in a window. `unit` is `share`, `bytes` or `seconds`.

    `at_least`: the value must not fall below the limit. `at_once`: a single window beyond it is enough.
    """

    limit: float
    unit: str
    what: str
    reason: str
    at_least: bool = False
    at_once: bool = False

    def broken_by(self, value: float) -> bool:
        """Whether a value lies beyond the bound."""
        return value < self.limit if self.at_least else value > self.limit


_LATE = f"{1e3 * LATE_SECONDS:.0f} ms"

#: Each resource, causes before effects: what blocks an event loop is named before the lateness that it causes.
BOUNDS: dict[str, Bound] = {
    "standstill": Bound(
        STANDSTILL_SECONDS,
        "seconds",
        "time for which this process was suspended",
        "Stopped or suspended, it sends nothing and reads no answers, which then seem to be late.",
        at_once=True,
    ),
    "disk": Bound(
        100e6,
        "bytes",
        "free space where the result is written",
        "A result that cannot be written is lost, and with it the journal of what to delete.",
        at_least=True,
    ),
    "open_files": Bound(
        0.95,
        "share",
        "open files and sockets of those that the system allows this process",
        "Beyond the limit connections fail here, and would count as the target's errors.",
    ),
    "local_failures": Bound(
        0.005,
        "share",
        "requests that failed because this machine had no file descriptors or local ports left",
        "They never reached the target, and would count as its errors.",
        at_once=True,
    ),
    "process_cpu": Bound(
        0.9,
        "share",
        "CPU time of this process, of one core",
        "Python runs one thread at a time, so at one core every answer waits for its turn to be read.",
    ),
    "garbage_collection": Bound(
        0.1,
        "share",
        "time in which garbage was collected",
        "All threads wait for it, and it adds to every latency.",
    ),
    "decoding": Bound(
        0.5,
        "share",
        "a scenario's time that went into decoding answers",
        "Its other answers wait for that, so latencies are the generator's and not the server's.",
    ),
    "connections": Bound(
        0.05,
        "share",
        "requests that waited because all connections were taken",
        "The limit on connections was then the load, not the scenario.",
    ),
    "event_loop": Bound(
        0.05,
        "share",
        f"moments at which a scenario's event loop was more than {_LATE} late",
        "Requests leave, and answers are read, as late as that.",
    ),
    "start_lateness": Bound(
        0.05,
        "share",
        f"operations of a scenario that started more than {_LATE} after they were due",
        "Latencies count from due, so p95 would be the generator's.",
    ),
}
