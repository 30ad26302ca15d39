"""An engine that runs each scenario in a process of its own: values cross as pickles, measurements are in files."""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, Self

from kfp_perf.engine import ScenarioResult, run_scenario
from kfp_perf.errors import RunnerError
from kfp_perf.pacing import StopSignal
from kfp_perf.result.counters import ScenarioCounters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from kfp_perf.engine import ScenarioWork

_SEND_EVERY_SECONDS = 0.1


class ProcessLink:
    """A scenario's side: messages are pairs of a kind and a value."""

    def __init__(self, connection: Connection) -> None:
        self.stop = StopSignal()
        self._connection = connection
        self._sending = threading.Lock()
        self._opened = threading.Event()
        self._t0 = 0.0
        threading.Thread(target=self._receive, daemon=True).start()

    def prepared(self) -> float:
        self.send("prepared", None)
        self._opened.wait()
        return self._t0

    def watch(self, counters: Callable[[], ScenarioCounters]) -> None:
        def keep_sending() -> None:
            while True:
                self.send("counters", counters())
                time.sleep(_SEND_EVERY_SECONDS)

        threading.Thread(target=keep_sending, daemon=True).start()

    def send(self, kind: str, value: Any) -> None:
        with self._sending:
            self._connection.send((kind, value))

    def _receive(self) -> None:
        while True:
            kind, value = self._connection.recv()
            if kind == "stop":
                self.stop.set()
            else:
                self._t0 = value
                self._opened.set()


def _run(work: ScenarioWork, connection: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when to stop
    link = ProcessLink(connection)
    link.send("result", run_scenario(work, link))


class ProcessEngine:
    """See `Engine`."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._counters: dict[str, ScenarioCounters] = {}
        self._names: dict[Connection, str] = {}
        self._unprepared: set[str] = set()
        self._processes: list[Any] = []
        self._at_once = False
        self.t0: float | None = None

    def start(self, work: Sequence[ScenarioWork]) -> None:
        spawn = multiprocessing.get_context("spawn")
        for one in work:
            ours, theirs = spawn.Pipe()
            process = spawn.Process(target=_run, args=(one, theirs))
            process.start()
            theirs.close()
            self._processes.append(process)
            self._names[ours] = one.name
            self._unprepared.add(one.name)
            self._counters[one.name] = ScenarioCounters(scenario=one.name)

    def counters(self) -> Mapping[str, ScenarioCounters]:
        return dict(self._counters)

    def ended(self, timeout_seconds: float) -> Iterator[ScenarioResult]:
        until = time.monotonic() + timeout_seconds
        while self._names and (ready := wait(list(self._names), max(0.0, until - time.monotonic()))):
            for connection in ready:
                assert isinstance(connection, Connection)
                if (result := self._received(connection)) is not None:
                    del self._names[connection]
                    yield result

    def _received(self, connection: Connection) -> ScenarioResult | None:
        name = self._names[connection]
        try:
            kind, value = connection.recv()
        except EOFError:
            failure = RunnerError("Its process died.")
            kind, value = "result", ScenarioResult(name, str(failure), int(failure.exit_code), failure)
        if kind == "counters":
            self._counters[name] = value
            return None
        self._unprepared.discard(name)
        if not self._unprepared and self.t0 is None:
            self._open()
        result: ScenarioResult | None = value
        return result

    def _open(self) -> None:
        self.t0 = self._now()
        self._tell("t0", self.t0)

    def _tell(self, kind: str, value: Any) -> None:
        for connection in self._names:
            try:
                connection.send((kind, value))
            except OSError:  # it has ended
                continue

    @property
    def running(self) -> frozenset[str]:
        return frozenset(self._names.values())

    def stop(self, *, at_once: bool = False) -> None:
        self._at_once = self._at_once or at_once
        self._tell("stop", None)
        if self.t0 is None:
            self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            if self._at_once:
                process.kill()
            process.join()
