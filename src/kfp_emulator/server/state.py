"""The state of one emulated API server: its settings, its store, the cluster behind it, and what is under way."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from kfp_emulator.clock import LoopClock
from kfp_emulator.pipelines.ir import Pipeline, parse_pipeline

if TYPE_CHECKING:
    from kfp_emulator.clock import Clock
    from kfp_emulator.cluster.cluster import Cluster
    from kfp_emulator.cluster.nodes import Report
    from kfp_emulator.cluster.schedules import ScheduleController
    from kfp_emulator.kubernetes.installation import Installation
    from kfp_emulator.protocol.wire import OutwardTime
    from kfp_emulator.server.access import Access
    from kfp_emulator.server.faults import FaultPlan
    from kfp_emulator.server.metrics import ServerMetrics
    from kfp_emulator.server.truth import TruthLog
    from kfp_emulator.storage.run_store import RunStore
    from kfp_emulator.storage.store import Store

COMMIT_SHA = "kfp-perf-emulator"
"""The beginning of `commit_sha` at healthz, by which a client recognises an emulator."""
PARSED_PIPELINES = 512
"""How many parsed pipelines are kept, so that creating runs of the same pipeline parses nothing."""


class RestartServer(Protocol):
    """Restarts the HTTP server."""

    def __call__(self, outage_seconds: float, *, forget: bool) -> None:
        """Refuse connections for so long; with `forget` the database is lost."""
        ...


@dataclass(frozen=True, slots=True)
class Identity:
    """How the server presents itself at /healthz, and which habits of other versions it has."""

    commit_sha: str = COMMIT_SHA
    tag_name: str = "2.17.0"
    pipeline_store: str = "database"
    error_field: bool = False
    """Whether error bodies carry the field `error`, as those of 2.0 to 2.5 do."""
    plugins: bool = False
    """Whether runs show the output of the MLflow plugin, as those of 2.17 do."""


@dataclass(slots=True)
class ReportInbox:
    """Reports on their way to the rows of runs.

    `delays` are microseconds by which the reports of a run are held back; `held` are reports that arrived while
    the server was down; `writing` holds, for each run whose tasks are still to be written, the time of its report;
    `commit_due` is whether a commit is planned.
    """

    delays: dict[str, int] = field(default_factory=dict)
    held: list[Report] = field(default_factory=list)
    writing: dict[str, int] = field(default_factory=dict)
    down: bool = False
    commit_due: bool = False


class PendingRun(msgspec.Struct):
    """A workflow that a schedule made and whose run has no row yet; `slot` in seconds, `at` in microseconds."""

    recurring_run_id: str
    run_id: str
    name: str
    slot: int
    at: int


@dataclass(slots=True)
class Backend:
    """One emulated API server, and the cluster behind it."""

    identity: Identity
    store: Store
    clock: Clock
    time: OutwardTime
    cluster_time: OutwardTime
    access: Access
    runs: RunStore
    metrics: ServerMetrics
    truth: TruthLog
    faults: FaultPlan
    cluster: Cluster
    schedules: ScheduleController
    kubernetes: Installation
    seed: int = 0
    any_package_url: bool = False
    """Whether JSON routes may fetch packages from any host: PIPELINE_URL_VALIDATION_ENABLED=false."""
    read_times: bool = False
    """Whether reads take as long as a real server's."""
    openapi: bytes = b"{}"
    inbox: ReportInbox = field(default_factory=ReportInbox)
    pending: dict[str, PendingRun] = field(default_factory=dict)
    """Runs of schedules that have no row yet, by their ids."""
    restart: RestartServer = field(init=False)
    """Set by the HTTP server that serves this backend."""
    _ids: random.Random = field(init=False)
    _parsed: dict[str, Pipeline] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._ids = random.Random()
        self.reseed()

    def reseed(self) -> None:
        """Begin a new series of ids: the same one for the same seed, another after each start on a kept store."""
        boots = int(self.store.meta("boots", "0"))
        self.store.set_meta("boots", str(boots + 1))
        self._ids.seed(f"{self.seed}:{boots}")

    def new_id(self) -> str:
        """Return a new UUID of the server's seeded series."""
        return str(uuid.UUID(int=self._ids.getrandbits(128), version=4))

    def seconds(self) -> int:
        """Return the server's own clock, in whole seconds."""
        return self.time.seconds(self.clock.now())

    def pipeline(self, spec_id: str) -> Pipeline:
        """Return the parsed pipeline of a stored spec.

        Raises:
            InvalidPipeline: it cannot be run.

        """
        found = self._parsed.get(spec_id)
        if found is None:
            row = self.store.one("SELECT documents FROM specs WHERE id = ?", spec_id)
            documents: list[dict[str, Any]] = msgspec.json.decode(row[0]) if row else []
            found = parse_pipeline(documents)
            if len(self._parsed) >= PARSED_PIPELINES:
                self._parsed.pop(next(iter(self._parsed)))
            self._parsed[spec_id] = found
        return found

    def forget(self) -> None:
        """Lose the database, and with it everything that the cluster did."""
        self.cluster.reset()
        self.schedules.reset()
        self.pending.clear()
        self.inbox.delays.clear()
        self.inbox.held.clear()
        self.inbox.writing.clear()
        self.store.clear()
        self._parsed.clear()
        self.reseed()

    def close(self) -> None:
        """Stop the cluster and close the store."""
        if isinstance(self.clock, LoopClock):  # any other clock is the caller's
            self.clock.stop()
        self.store.close()
