"""What every handler works on: the server's settings, store, cluster and rules, in one place."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from kfp_emulator.api import experiments
from kfp_emulator.clock import LoopClock
from kfp_emulator.cluster.cluster import RunRequest
from kfp_emulator.pipelines.ir import InvalidPipeline, Pipeline, parse_pipeline

if TYPE_CHECKING:
    from kfp_emulator.auth import Access
    from kfp_emulator.clock import Clock
    from kfp_emulator.cluster.cluster import Cluster
    from kfp_emulator.faults import FaultPlan
    from kfp_emulator.metrics import ServerMetrics
    from kfp_emulator.protocol.wire import OutwardTime
    from kfp_emulator.recurring import RecurringRuns
    from kfp_emulator.reporting import Reporting
    from kfp_emulator.storage.run_store import RunStore
    from kfp_emulator.storage.store import Store
    from kfp_emulator.truth import TruthLog

PARSED_PIPELINES = 512
"""How many parsed pipelines are kept, so that creating runs of the same pipeline parses nothing."""


class Restart(Protocol):
    """What the server offers: to be gone for a while, and to come back with or without its memory."""

    def __call__(self, outage_seconds: float, *, forget: bool) -> None:
        """Restart."""
        ...


@dataclass(frozen=True, slots=True)
class Identity:
    """How the server presents itself at /healthz, and which habits of other versions it has."""

    commit_sha: str = "unknown"
    tag_name: str = "2.17.0"
    pipeline_store: str = "database"
    error_field: bool = False
    """Whether error bodies carry the field `error`, as those of 2.0 to 2.5 do."""


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
    seed: int = 0
    any_package_url: bool = False
    """Whether JSON routes may fetch packages from any host: PIPELINE_URL_VALIDATION_ENABLED=false."""
    openapi: bytes = b"{}"
    # These three know the backend, so they are set right after it is made; so is what only a server can do.
    cluster: Cluster = field(init=False)
    reporting: Reporting = field(init=False)
    recurring: RecurringRuns = field(init=False)
    restart: Restart = field(init=False)
    _ids: random.Random = field(init=False)
    _parsed: dict[str, Pipeline] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._ids = random.Random()
        self._reseed()

    def _reseed(self) -> None:
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

    def request_again(self, run_id: str) -> RunRequest | None:
        """Return the request that a run was submitted with, from its row; None where it cannot be run any more."""
        columns = "display_name, namespace, spec_id, pipeline_name, parameters, service_account, submitted_us"
        row = self.runs.get(run_id, f"{columns}, recurring_run_id")
        if row is None:
            return None
        name, namespace, spec_id, pipeline_name, parameters, account, submitted, recurring = row
        try:
            pipeline = self.pipeline(spec_id)
        except InvalidPipeline:
            return None
        return RunRequest(
            run_id=run_id,
            name=name,
            pipeline=pipeline,
            parameters=msgspec.json.decode(parameters),
            namespace=namespace or self.access.system_namespace,
            pipeline_name=pipeline_name,
            service_account=account,
            created_at=submitted,
            recurring_run_id=recurring or None,
        )

    def resume(self) -> None:
        """Submit the runs again that a kept store has unfinished: being deterministic, they catch up at once."""
        for run_id, state in self.runs.unfinished():
            request = self.request_again(run_id)
            if request is None:
                continue
            try:
                self.cluster.submit(request)
            except InvalidPipeline:
                continue
            if state == "CANCELING":
                self.cluster.terminate(run_id)
        self.recurring.resume()

    def went_down(self, *, forget: bool) -> None:
        """The server is gone for a while: counters restart, reports wait; with `forget` nothing is left."""
        self.metrics.reset()
        self.reporting.down = True
        if forget:
            self.cluster.reset()
            self.recurring.reset()
            self.reporting.forget()
            self.store.clear()
            self._parsed.clear()
            self._reseed()
        self.store.commit()

    def came_up(self) -> None:
        """The server is back; it makes its default experiment as at every start."""
        if not self.access.multi_user:
            experiments.default_experiment(self)
        self.reporting.came_up()

    def close(self) -> None:
        """Stop the cluster, and let the store go."""
        if isinstance(self.clock, LoopClock):  # any other clock is the caller's
            self.clock.stop()
        self.store.close()
