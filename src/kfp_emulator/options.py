"""The settings of an emulator, and how it is built from them."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kfp_emulator.clock import LoopClock, fine_loop
from kfp_emulator.cluster.cluster import Cluster
from kfp_emulator.cluster.schedules import ScheduleController
from kfp_emulator.cluster.throttle import Throttle
from kfp_emulator.http.openapi import openapi_document
from kfp_emulator.http.routes import API_ROUTES
from kfp_emulator.kubernetes.component_documents import Site
from kfp_emulator.kubernetes.installation import install
from kfp_emulator.kubernetes.journal import Journal
from kfp_emulator.kubernetes.permissions import Permissions
from kfp_emulator.kubernetes.run_pods import RunPods
from kfp_emulator.protocol.wire import OutwardTime
from kfp_emulator.server import lifecycle, reporting, scheduled_runs
from kfp_emulator.server.access import USER_HEADER, Access
from kfp_emulator.server.faults import FaultPlan
from kfp_emulator.server.metrics import ServerMetrics
from kfp_emulator.server.prefill import Prefill, prefill
from kfp_emulator.server.state import Backend, Identity
from kfp_emulator.server.truth import DEFAULT_CAPACITY, TruthLog
from kfp_emulator.storage.run_store import RunStore
from kfp_emulator.storage.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from kfp_emulator.clock import Clock
    from kfp_emulator.cluster.timing import Profile
    from kfp_emulator.server.faults import Rule


@dataclass(frozen=True, slots=True)
class Options:
    """The settings of one emulator; times are seconds."""

    profile: Profile
    seed: int = 0
    store: Path | None = None
    prefill: Prefill = field(default_factory=Prefill)
    clock_offset_seconds: float = 0.0
    cluster_clock_offset_seconds: float | None = None
    """What the workflow controller's clock is ahead; None: as much as the API server's."""
    multi_user: bool = False
    user_header: str = USER_HEADER
    user_prefix: str = ""
    grants: dict[str, frozenset[str]] | None = None
    tokens: dict[str, str] = field(default_factory=dict)
    namespace: str = "kubeflow"
    faults: tuple[Rule, ...] = ()
    version: str = "2.17.0"
    any_package_url: bool = False
    read_times: bool = False
    """Let reads take as long as those of a real server; see server/read_times.py."""
    truth_events: int = DEFAULT_CAPACITY
    access_reviews_per_second: float = 0.0
    """The throttle of SubjectAccessReviews in multi-user mode: 5 on the real server; 0 means none."""
    cache_entries: bool = False
    """Show the anonymous entries that cached tasks leave in task_details."""
    retry_nodes: bool | None = None
    """Double each executed node, as the default retry strategy of 2.17's manifests does; None: from 2.17 on."""
    kubernetes: bool = True
    """Whether there is a Kubernetes API."""
    kubernetes_tokens: dict[str, str] = field(default_factory=dict)
    """Bearer tokens that the Kubernetes API demands, each with its user; none: it demands no token."""


def _release(version: str) -> tuple[int, int]:
    """Return major and minor of a version; what has none counts as the newest."""
    found = re.match(r"v?([0-9]{1,9})\.([0-9]{1,9})", version)
    return (int(found[1]), int(found[2])) if found else (2, 17)


def build(options: Options, clock: Clock | None = None) -> Backend:
    """Build a backend, and resume what a kept store has unfinished; needs a running loop unless a clock is given.

    Raises:
        StoreError: the store's file cannot be used.
        OSError: the same, seen by the system.

    """
    if clock is None:
        clock = LoopClock(fine_loop(asyncio.get_running_loop()))
    store = Store(options.store)
    api_offset = round(options.clock_offset_seconds * 1_000_000)
    cluster_offset = options.cluster_clock_offset_seconds
    time = OutwardTime(api_offset)
    cluster_time = time if cluster_offset is None else OutwardTime(round(cluster_offset * 1_000_000))
    truth = TruthLog(options.truth_events)
    runs = RunStore(store, multi_user=options.multi_user, server_time=time, cluster_time=cluster_time)
    access = Access(
        multi_user=options.multi_user,
        user_header=options.user_header,
        user_prefix=options.user_prefix,
        grants=options.grants,
        tokens=options.tokens,
        system_namespace=options.namespace,
        now=clock.now,
        reviews=Throttle(options.access_reviews_per_second, 10),
    )
    release = _release(options.version)
    # The two callbacks run only with events, when the backend is there.
    doubled = release >= (2, 17) if options.retry_nodes is None else options.retry_nodes
    journal = Journal(clock.now)
    pods = RunPods(journal, clock, cluster_time, doubled=doubled, nodes=options.profile.nodes)
    metrics = ServerMetrics()
    cluster = Cluster(
        options.profile,
        clock,
        lambda report: reporting.receive(backend, report),
        seed=options.seed,
        truth=truth.record,
        anonymous_cache_entries=options.cache_entries,
        doubled_retry_nodes=doubled,
        pod_log=pods if options.kubernetes else None,
    )
    schedules = ScheduleController(
        options.profile,
        clock,
        lambda firing: scheduled_runs.start(backend, firing),
        seed=options.seed,
        ahead=cluster_time.offset_microseconds,
    )
    installation = install(
        Site(options.namespace, options.version, cluster_time),
        cluster,
        schedules,
        journal,
        pods,
        Permissions(options.kubernetes_tokens),
        lambda: metrics.total,
    )
    backend = Backend(
        identity=Identity(tag_name=options.version, error_field=release < (2, 6), plugins=release >= (2, 17)),
        store=store,
        clock=clock,
        time=time,
        cluster_time=cluster_time,
        access=access,
        runs=runs,
        metrics=metrics,
        truth=truth,
        faults=FaultPlan(options.seed),
        cluster=cluster,
        schedules=schedules,
        kubernetes=installation,
        seed=options.seed,
        any_package_url=options.any_package_url,
        read_times=options.read_times,
        openapi=openapi_document(API_ROUTES, options.version),
    )
    backend.faults.add(list(options.faults), clock.now())
    lifecycle.came_up(backend)
    prefill(backend, options.prefill)
    lifecycle.resume(backend)
    store.commit()
    return backend
