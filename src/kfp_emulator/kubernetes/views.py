"""How the API shows what the journal holds: pods, events, and objects with documents of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from kfp_emulator.kubernetes.events import event_document, event_fields, event_name, modern_event_document
from kfp_emulator.kubernetes.journal import DELETED
from kfp_emulator.kubernetes.pod_document import pod_document
from kfp_emulator.kubernetes.pod_events import pod_occurrences
from kfp_emulator.kubernetes.run_pod import RunPod
from kfp_emulator.kubernetes.stated import Stated

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kfp_emulator.kubernetes.journal import Change, Journal, Recorded
    from kfp_emulator.kubernetes.occurrences import Occurrence
    from kfp_emulator.protocol.wire import OutwardTime

Document = dict[str, Any]

POD_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "spec.hostNetwork",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "status.nominatedNodeName",
    "status.phase",
    "status.podIP",
)
PLAIN_FIELDS = ("metadata.name", "metadata.namespace")
EVENT_LIFETIME = 3_600_000_000
"""How long events are kept (--event-ttl of kube-apiserver), in microseconds."""


class Shown(Protocol):
    """One object at one version; everything is made when it is needed."""

    @property
    def key(self) -> str:
        """Its namespace and name, by which lists are sorted."""
        ...

    @property
    def number(self) -> int:
        """The version."""
        ...

    def labels(self) -> Mapping[str, str]:
        """Return its labels."""
        ...

    def fields(self) -> Mapping[str, str]:
        """Return the fields that selectors may name."""
        ...

    def document(self) -> Document:
        """Return it without kind and apiVersion."""
        ...


class Delta(NamedTuple):
    """A change of one object: what it was before, and is after; None where it is not there."""

    number: int
    before: Shown | None
    after: Shown | None


@dataclass(frozen=True, slots=True)
class View:
    """A kind of object: what is there at a version from a key on, and the deltas that a change means for it."""

    snapshot: Callable[[Journal, int, str], Iterator[Shown]]
    count: Callable[[Journal, int, str, str], int]
    """How many of them there are, in a namespace or (empty) in all."""
    deltas: Callable[[Change], list[Delta]]


class _ShownPod:
    """A run's pod."""

    __slots__ = ("_place", "_pod", "key", "number")

    def __init__(self, pod: RunPod, place: int) -> None:
        self._pod = pod
        self._place = place
        self.key = pod.key
        self.number = pod.versions[place].number

    def labels(self) -> Mapping[str, str]:
        return self._pod.labels(self._place)

    def fields(self) -> Mapping[str, str]:
        return self._pod.fields(self._place)

    def document(self) -> Document:
        return pod_document(self._pod, self._place)


class _ShownStated:
    """An object whose documents are written down."""

    __slots__ = ("_document", "key", "number")

    def __init__(self, stated: Stated, place: int) -> None:
        self._document = stated.documents[place]
        self.key = stated.key
        self.number = stated.versions[place].number

    def labels(self) -> Mapping[str, str]:
        labels: Mapping[str, str] = self._document["metadata"].get("labels", {})
        return labels

    def fields(self) -> Mapping[str, str]:
        document = self._document
        metadata, spec, status = document["metadata"], document.get("spec", {}), document.get("status", {})
        return {
            "metadata.name": metadata["name"],
            "metadata.namespace": metadata.get("namespace", ""),
            "spec.hostNetwork": "false",
            "spec.nodeName": spec.get("nodeName", ""),
            "spec.restartPolicy": spec.get("restartPolicy", ""),
            "spec.schedulerName": spec.get("schedulerName", ""),
            "spec.serviceAccountName": spec.get("serviceAccountName", ""),
            "status.nominatedNodeName": "",
            "status.phase": status.get("phase", ""),
            "status.podIP": status.get("podIP", ""),
        }

    def document(self) -> Document:
        metadata = {**self._document["metadata"], "resourceVersion": str(self.number)}
        return {**self._document, "metadata": metadata}


class _ShownEvent:
    """An event about a pod."""

    __slots__ = ("_change", "_occurrence", "_render", "_time", "key", "number")

    def __init__(
        self, change: Change, number: int, occurrence: Occurrence, render: _RenderEvent, time: OutwardTime
    ) -> None:
        self._change = change
        self._occurrence = occurrence
        self._render = render
        self._time = time
        self.number = number
        self.key = f"{change.object.namespace}/{event_name(change.object, number)}"

    def labels(self) -> Mapping[str, str]:
        return {}

    def fields(self) -> Mapping[str, str]:
        about, place = self._change.object, self._change.place
        return event_fields(
            about, event_name(about, self.number), identity_of(about, place), self._occurrence
        )

    def document(self) -> Document:
        about, place = self._change.object, self._change.place
        return self._render(about, self.number, identity_of(about, place), self._occurrence, self._time)


_RenderEvent = Callable[["Recorded", int, str, "Occurrence", "OutwardTime"], Document]


def show(recorded: Recorded, place: int) -> Shown:
    """Return an object as it was in one of its versions."""
    if isinstance(recorded, RunPod):
        return _ShownPod(recorded, place)
    if not isinstance(recorded, Stated):
        raise TypeError(f"{type(recorded).__name__} has no view")
    return _ShownStated(recorded, place)


def object_view(resource: str) -> View:
    """Return the view of what the journal records as `resource`."""

    def snapshot(journal: Journal, number: int, start: str = "") -> Iterator[Shown]:
        return (show(each, place) for each, place in journal.snapshot(resource, number, start))

    def count(journal: Journal, number: int, start: str, namespace: str) -> int:
        return journal.count(resource, number, start, namespace)

    def deltas(change: Change) -> list[Delta]:
        changed, place = change.object, change.place
        if changed.resource != resource:
            return []
        before = show(changed, place - 1) if place else None
        after = None if changed.versions[place].stage == DELETED else show(changed, place)
        return [Delta(change.number, before, after)]

    return View(snapshot, count, deltas)


def event_view(time: OutwardTime, *, modern: bool) -> View:
    """Return the view of events: of the core API, or of events.k8s.io."""
    render = modern_event_document if modern else event_document

    def shown(change: Change) -> list[Shown]:
        if change.object.resource != "pods":
            return []
        found = enumerate(occurrences_of(change.object, change.place), 1)
        return [_ShownEvent(change, change.number + index, each, render, time) for index, each in found]

    def snapshot(journal: Journal, number: int, start: str = "") -> Iterator[Shown]:
        oldest = journal.now() - EVENT_LIFETIME
        found = [
            event
            for change in journal.kept()
            if change.number <= number and change.object.versions[change.place].at >= oldest
            for event in shown(change)
            if event.number <= number and event.key >= start
        ]
        return iter(sorted(found, key=lambda event: event.key))

    def count(journal: Journal, number: int, start: str, namespace: str) -> int:
        prefix = f"{namespace}/" if namespace else ""
        return sum(event.key.startswith(prefix) for event in snapshot(journal, number, start))

    def deltas(change: Change) -> list[Delta]:
        return [Delta(event.number, None, event) for event in shown(change)]

    return View(snapshot, count, deltas)


def occurrences_of(changed: Recorded, place: int) -> list[Occurrence]:
    """Return the events that a version of an object brought."""
    if isinstance(changed, RunPod):
        return pod_occurrences(changed, place)
    return changed.happened[place] if isinstance(changed, Stated) and place < len(changed.happened) else []


def identity_of(changed: Recorded, place: int) -> str:
    """Return the UID of an object."""
    if isinstance(changed, RunPod):
        return changed.uid
    found: str = changed.documents[place]["metadata"]["uid"] if isinstance(changed, Stated) else ""
    return found
