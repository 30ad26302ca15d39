"""The source Kubernetes: which cluster is read, what of it can be read, and reading it until the test ends."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from kfp_perf.evidence.kubernetes.access import NoAccess
from kfp_perf.evidence.kubernetes.api import ApiFault, KubernetesApi
from kfp_perf.evidence.kubernetes.component_pods import ComponentPods, usage_record
from kfp_perf.evidence.kubernetes.find import find_access
from kfp_perf.evidence.kubernetes.objects import RUN_LABEL, Event, Pod, PodUsage, RunPod
from kfp_perf.evidence.kubernetes.records import (
    CLUSTER_FILE,
    COMPONENTS_FILE,
    PODS_FILE,
    USAGE_FILE,
    ClusterRecord,
)
from kfp_perf.evidence.kubernetes.run_pods import RunPods
from kfp_perf.evidence.kubernetes.watch import (
    Follower,
    ObjectList,
    Receiver,
    Resource,
    WatchEvent,
    WithMetadata,
)
from kfp_perf.evidence.source import SourceFinding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from kfp_perf.config import TestConfig
    from kfp_perf.evidence.kubernetes.access import Access
    from kfp_perf.evidence.source import Sink

CLUSTER, PODS, EVENTS, COMPONENTS, USAGE = "cluster", "pods", "events", "components", "usage"
TITLES = {
    CLUSTER: "Kubernetes API",
    PODS: "pods of runs",
    EVENTS: "events of pods (image pulls, failed scheduling)",
    COMPONENTS: "pods of KFP's components",
    USAGE: "CPU and memory of KFP's components (metrics.k8s.io)",
}
_RETRY_SECONDS = 30.0
_UNKNOWN_VERSION = "of an unknown version"
_HIDDEN = frozenset({403, 404})
_TICK_SECONDS = 1.0
#: metrics-server measures every 15 s; what it has measured should not be much older when it is read.
_USAGE_SECONDS = 5.0
_LAST_LOOK_SECONDS = 1.5
#: What the last runs did may still be on its way when the test ends.
_QUIET_SECONDS = 0.5
#: Pods of the first runs may be there before they are followed; those that are over already are of earlier ones.
_NOT_OVER = {"fieldSelector": "status.phase!=Succeeded,status.phase!=Failed"}
_MISSING_RIGHT = "deploy/ has a Role that gives the right."

_Seen = TypeVar("_Seen", bound=WithMetadata)


class _Version(msgspec.Struct, rename="camel"):
    git_version: str = ""


class _UsageList(msgspec.Struct):
    items: list[PodUsage] = []


_version_decoder = msgspec.json.Decoder(_Version)
_usage_decoder = msgspec.json.Decoder(_UsageList)
_any_decoder = msgspec.json.Decoder()
_run_pods = msgspec.json.Decoder(ObjectList[RunPod])
_run_pod_events = msgspec.json.Decoder(WatchEvent[RunPod])
_pods = msgspec.json.Decoder(ObjectList[Pod])
_pod_events = msgspec.json.Decoder(WatchEvent[Pod])
_events = msgspec.json.Decoder(ObjectList[Event])
_event_events = msgspec.json.Decoder(WatchEvent[Event])


def run_namespaces(config: TestConfig) -> Sequence[str]:
    """The namespaces that hold the pods of runs."""
    return config.run_namespaces or (config.NAMESPACE,)


def kfp_namespace(config: TestConfig) -> str:
    """The namespace that holds KFP's components: in multi-user mode not that of the runs."""
    return config.kfp_namespace or ("kubeflow" if config.IS_KUBEFLOW_MODE else config.NAMESPACE)


def _pods_of(namespace: str) -> Resource[RunPod]:
    path = f"/api/v1/namespaces/{namespace}/pods"
    return Resource(path, _run_pods, _run_pod_events, {"labelSelector": RUN_LABEL})


def _events_of(namespace: str) -> Resource[Event]:
    # Argo alone writes 26 events a run; only those that show why a pod waited are read.
    left_out = ("Scheduled", "Created", "Started", "Killing")
    selector = ",".join(["involvedObject.kind=Pod", *(f"reason!={reason}" for reason in left_out)])
    path = f"/api/v1/namespaces/{namespace}/events"
    return Resource(path, _events, _event_events, {"fieldSelector": selector})


def _components_of(namespace: str) -> Resource[Pod]:
    path = f"/api/v1/namespaces/{namespace}/pods"
    return Resource(path, _pods, _pod_events, {"labelSelector": f"!{RUN_LABEL}"})


def _usage_path(namespace: str) -> str:
    return f"/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods"


def parts(config: TestConfig) -> Sequence[tuple[str, str]]:
    """All parts, or only the cluster where there is no way to one."""
    try:
        find_access(config)
    except NoAccess:
        return [(CLUSTER, TITLES[CLUSTER])]
    return list(TITLES.items())


async def look(config: TestConfig, part: str) -> SourceFinding:
    """Read one part of what would be read of the cluster during a test."""
    access: Access | None = None
    try:
        api = KubernetesApi(access := find_access(config))
        if part == CLUSTER:
            return SourceFinding(found=f"{access.title}, {await _version_of(api)}")
        path, query, where = _first_look(config, part)
        await api.get(path, _any_decoder, {**query, "limit": 1})
    except NoAccess as problem:
        return SourceFinding(missing=problem.why, remedy=problem.remedy)
    except ApiFault as fault:
        return _finding(part, fault.why, fault.status, access.title if access else "")
    return SourceFinding(found=where)


def _first_look(config: TestConfig, part: str) -> tuple[str, dict[str, str], str]:
    namespace = kfp_namespace(config) if part in {COMPONENTS, USAGE} else run_namespaces(config)[0]
    where = f"in namespace {namespace}"
    if part == USAGE:
        return _usage_path(namespace), {}, where
    made: dict[str, Callable[[str], Resource[Any]]] = {
        PODS: _pods_of,
        EVENTS: _events_of,
        COMPONENTS: _components_of,
    }
    resource = made[part](namespace)
    return resource.path, dict(resource.query), where


async def _version_of(api: KubernetesApi) -> str:
    """The version of the cluster, which shows that it is there; some clusters hide it."""
    try:
        return (await api.get("/version", _version_decoder)).git_version or _UNKNOWN_VERSION
    except ApiFault as fault:
        if fault.status in _HIDDEN:
            return _UNKNOWN_VERSION
        raise


def _finding(part: str, why: str, status: int, title: str) -> SourceFinding:
    if part == CLUSTER:
        remedy = (
            "Is the context the right one? KFP_PERF_KUBERNETES_CONTEXT names another." if not status else ""
        )
        return SourceFinding(missing=f"{title}: {why}", remedy=remedy)
    if part == USAGE and status in {404, 503}:
        return SourceFinding(
            missing=f"the cluster has no metrics.k8s.io ({status})",
            remedy="Install metrics-server, or do without.",
        )
    return SourceFinding(missing=why, remedy=_MISSING_RIGHT if status == 403 else "")


class _Part(Generic[_Seen]):
    """Passes what a follower reads on to its users, and its failures to the sink."""

    def __init__(
        self,
        sink: Sink,
        part: str,
        where: str,
        *,
        changed: Callable[[_Seen], None],
        deleted: Callable[[_Seen], None] = lambda _: None,
        listed: Callable[[Sequence[_Seen]], None],
    ) -> None:
        self.changed = changed
        self.deleted = deleted
        self.listed = listed
        self._sink = sink
        self._part = part
        self._where = where

    def reading(self) -> None:
        """Report that the part is there."""
        self._sink.found(self._part, self._where)

    def failed(self, why: str, status: int) -> None:
        """Report a failure."""
        finding = _finding(self._part, why, status, "")
        self._sink.missing(self._part, finding.missing, finding.remedy)


async def collect(config: TestConfig, sink: Sink, stop: asyncio.Event) -> None:
    """Follow the cluster until `stop` is set; then write the pods that are not over yet."""
    try:
        access = find_access(config)
        api = KubernetesApi(access)
    except NoAccess as problem:
        sink.missing(CLUSTER, problem.why, problem.remedy)
        return
    version = await _reached(api, sink, stop)
    if not version:
        return
    named = bool(config.kubernetes_url or config.kubernetes_context)
    sink.append(
        CLUSTER, CLUSTER_FILE, ClusterRecord(at=sink.now(), title=access.title, version=version, named=named)
    )
    pods = {
        namespace: RunPods(lambda record: sink.append(PODS, PODS_FILE, record), sink.now)
        for namespace in run_namespaces(config)
    }
    components = ComponentPods(lambda record: sink.append(COMPONENTS, COMPONENTS_FILE, record), sink.now)
    tasks: list[asyncio.Task[Any]] = [
        asyncio.create_task(follower.run()) for follower in _followers(api, config, sink, pods, components)
    ]
    usage = _Usage(api, config, sink, components)
    tasks.append(asyncio.create_task(usage.run()))
    stopped = asyncio.create_task(stop.wait())
    try:
        while not stopped.done():
            for one in pods.values():
                one.write_ended()
            waiting, started = (
                sum(counts) for counts in zip(*(one.open() for one in pods.values()), strict=True)
            )
            sink.live(PODS, f"{waiting} waiting for a node, {started} on a node")
            if components.restarts:
                sink.live("restarts", f"{components.restarts} of components")
            await asyncio.wait([stopped, *tasks], timeout=_TICK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()  # a bug: it has an error
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_LOOK_SECONDS):
                await asyncio.gather(usage.look(), _quiet(pods.values()))
    finally:
        for task in (*tasks, stopped):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for one in pods.values():
            one.close()


async def _quiet(pods: Iterable[RunPods]) -> None:
    """Wait until no pod has changed for a moment."""
    followed = list(pods)
    before = -1
    while (seen := sum(one.changes for one in followed)) != before:
        before = seen
        await asyncio.sleep(_QUIET_SECONDS)


async def _reached(api: KubernetesApi, sink: Sink, stop: asyncio.Event) -> str:
    """Wait until the cluster answers, and return its version; empty: the test has ended before."""
    while not stop.is_set():
        try:
            version = await _version_of(api)
        except ApiFault as fault:
            _not_reached(sink, _finding(CLUSTER, fault.why, fault.status, api.access.title))
        except NoAccess as problem:
            _not_reached(sink, SourceFinding(missing=problem.why, remedy=problem.remedy))
        else:
            sink.found(CLUSTER, f"{api.access.title}, {version}")
            return version
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_RETRY_SECONDS):
                await stop.wait()
    return ""


def _not_reached(sink: Sink, finding: SourceFinding) -> None:
    """Report why the cluster is missing, and with it everything else."""
    sink.missing(CLUSTER, finding.missing, finding.remedy)
    for part in (PODS, EVENTS, COMPONENTS, USAGE):
        sink.missing(part, "the Kubernetes API is not there")


def _followers(
    api: KubernetesApi, config: TestConfig, sink: Sink, pods: Mapping[str, RunPods], components: ComponentPods
) -> list[Follower[Any]]:
    found: list[Follower[Any]] = []
    for namespace, seen in pods.items():
        where = f"in namespace {namespace}"
        of_pods: Receiver[RunPod] = _Part(
            sink, PODS, where, changed=seen.changed, deleted=seen.deleted, listed=seen.listed
        )
        found.append(Follower(api, _pods_of(namespace), of_pods, first=_NOT_OVER))
        of_events: Receiver[Event] = _Part(
            sink, EVENTS, where, changed=seen.happened, listed=seen.all_happened
        )
        found.append(Follower(api, _events_of(namespace), of_events, from_now=True))
    namespace = kfp_namespace(config)
    of_components: Receiver[Pod] = _Part(
        sink,
        COMPONENTS,
        f"in namespace {namespace}",
        changed=components.changed,
        deleted=components.deleted,
        listed=components.listed,
    )
    found.append(Follower(api, _components_of(namespace), of_components))
    return found


class _Usage:
    """Reads what the components use, as often as that is measured."""

    def __init__(self, api: KubernetesApi, config: TestConfig, sink: Sink, components: ComponentPods) -> None:
        self._api = api
        self._namespace = kfp_namespace(config)
        self._interval = max(_USAGE_SECONDS, config.evidence_interval_seconds)
        self._sink = sink
        self._components = components
        self._seen: dict[str, Any] = {}

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            refused = await self.look()
            await asyncio.sleep(_RETRY_SECONDS if refused else self._interval)

    async def look(self) -> bool:
        """Read once, and write what was measured since the last time; return whether it was refused."""
        try:
            answer = await self._api.get(_usage_path(self._namespace), _usage_decoder)
        except (ApiFault, NoAccess) as error:
            status = error.status if isinstance(error, ApiFault) else 401
            finding = _finding(USAGE, error.why, status, "")
            self._sink.missing(USAGE, finding.missing, finding.remedy)
            return status in {401, 403, 404}
        self._sink.found(USAGE, f"in namespace {self._namespace}")
        known = self._components.pods
        fresh = [
            pod
            for pod in answer.items
            if pod.metadata.name in known and self._seen.get(pod.metadata.name) != pod.timestamp
        ]
        self._seen.update({pod.metadata.name: pod.timestamp for pod in fresh})
        if fresh:
            record = usage_record(fresh, known, self._sink.now())
            self._sink.append(USAGE, USAGE_FILE, record)
            if use := self._components.most_used(record):
                self._sink.live("memory", use)
        return False
