"""The interface of an engine: it runs scenarios, and lets the execution observe and stop them."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from dataclasses import fields as dataclass_fields
from typing import TYPE_CHECKING, Protocol, Self

from kfp_perf.engine.plugins import Plugins, load_file, plugin_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from kfp_perf.config import TestConfig
    from kfp_perf.metrics import GuardedCollector
    from kfp_perf.pacing import StopSignal
    from kfp_perf.pipelines.package import PipelinePackage
    from kfp_perf.result.counters import ScenarioCounters
    from kfp_perf.scenario.model import TestScenario


@dataclass(frozen=True, slots=True)
class ScenarioWork:
    """Everything that a scenario needs to run, in this process or another: it can be pickled.

    `folder` is where the scenario's files go, `clock_anchor` is the offset of the test's clock from the machine's
    monotonic time, in seconds. `package` is the pipeline that the plan has read (None: the scenario has none).
    """

    scenario: TestScenario
    config: TestConfig
    folder: Path
    clock_anchor: float
    plugins: Plugins = field(default_factory=Plugins)
    package: PipelinePackage | None = None

    @property
    def name(self) -> str:
        """The scenario's name, unique in the test."""
        return self.scenario.name or self.scenario.mode_name.lower()

    def __reduce__(self) -> tuple[Callable[..., ScenarioWork], tuple[tuple[Path, ...], bytes]]:
        # Classes of a file given with --plugin or --config-class are found where that file has been loaded.
        fields = tuple(getattr(self, one.name) for one in dataclass_fields(self))
        return _unpickled, (plugin_files(), pickle.dumps(fields))


def _unpickled(files: Iterable[Path], fields: bytes) -> ScenarioWork:
    for file in files:
        load_file(file)
    return ScenarioWork(*pickle.loads(fields))  # noqa: S301  from our own parent process


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """How a scenario ended; it can be pickled. Its measurements are in its folder.

    `error` is the text of the error that ended it early (empty: none), `failure` that exception, `exit_code` its
    exit code. `collectors` are the users' collectors, with their data.
    """

    name: str
    error: str = ""
    exit_code: int = 0
    failure: Exception | None = None
    collectors: tuple[GuardedCollector, ...] = ()


class Link(Protocol):
    """The scenario's side of the engine that runs it."""

    @property
    def stop(self) -> StopSignal:
        """Set when the scenario is to start no more work and to end soon."""
        ...

    def prepared(self) -> float:
        """Block until all scenarios are prepared; return the test's time zero, in seconds since the Unix epoch."""
        ...

    def watch(self, counters: Callable[[], ScenarioCounters]) -> None:
        """Set the function that returns the scenario's counters; any thread may call it from now on."""
        ...


class Engine(Protocol):
    """Runs scenarios. A context manager: leaving it waits for all of them, unless they were stopped `at_once`."""

    @property
    def t0(self) -> float | None:
        """The test's time zero in seconds since the Unix epoch; None while scenarios prepare."""
        ...

    def start(self, work: Sequence[ScenarioWork]) -> None:
        """Start all scenarios. Called once."""
        ...

    def counters(self) -> Mapping[str, ScenarioCounters]:
        """The latest counters of each scenario, by name."""
        ...

    def ended(self, timeout_seconds: float) -> Iterator[ScenarioResult]:
        """Yield the scenarios that end within this time, as they end; each is yielded once."""
        ...

    @property
    def running(self) -> frozenset[str]:
        """The names of the scenarios that `ended` has not yielded yet."""
        ...

    def stop(self, *, at_once: bool = False) -> None:
        """Have every scenario end in good order; `at_once`: do not wait for them. Safe in a signal handler."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
