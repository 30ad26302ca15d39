"""How the API shows what the journal holds: pods, events, and objects with documents of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from kfp_emulator.kubernetes.events import event_document, event_fields, event_name, modern_event_document
from kfp_emulator.kubernetes.journal import DELETED, Change, Journal, Recorded
from kfp_emulator.kubernetes.pod_document import pod_document
from kfp_emulator.kubernetes.pod_events import pod_occurrences
from kfp_emulator.kubernetes.run_pod import RunPod
from kfp_emulator.kubernetes.stated import Stated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

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


class Shown(NamedTuple):
    """One object at one version: what selectors ask for, and the document; all made only when asked for."""

    key: str
    number: int
    labels: Callable[[], Mapping[str, str]]
    fields: Callable[[], Mapping[str, str]]
    document: Callable[[], Document]


class Delta(NamedTuple):
    """A change of one object: the entry before it, and the one after; None where it is not there."""

    number: int
    before: Shown | None
    after: Shown | None


@dataclass(frozen=True, slots=True)
class View:
    """A kind of object: its entries at a version, and the deltas that a change of the journal means for it."""

    snapshot: Callable[[Journal, int], list[Shown]]
    deltas: Callable[[Change], list[Delta]]


def object_view(resource: str) -> View:
    """Return the view of what the journal records as `resource`."""

    def snapshot(journal: Journal, number: int) -> list[Shown]:
        return [_entry(each, place) for _, each, place in journal.snapshot(resource, number)]

    def deltas(change: Change) -> list[Delta]:
        changed, place = change.object, change.place
        if changed.resource != resource:
            return []
        before = _entry(changed, place - 1) if place else None
        after = None if changed.versions[place].stage == DELETED else _entry(changed, place)
        return [Delta(change.number, before, after)]

    return View(snapshot, deltas)


def _entry(shown: Recorded, place: int) -> Shown:
    number = shown.versions[place].number
    if isinstance(shown, RunPod):
        pod = shown
        return Shown(
            pod.key,
            number,
            lambda: pod.labels(place),
            lambda: pod.fields(place),
            lambda: pod_document(pod, place),
        )
    if not isinstance(shown, Stated):
        raise TypeError(f"{type(shown).__name__} has no view")
    document = shown.documents[place]
    return Shown(
        shown.key,
        number,
        lambda: document["metadata"].get("labels", {}),
        lambda: _stated_fields(document),
        lambda: _numbered(document, number),
    )


def _stated_fields(document: Document) -> dict[str, str]:
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


def _numbered(document: Document, number: int) -> Document:
    return {**document, "metadata": {**document["metadata"], "resourceVersion": str(number)}}


def event_view(time: OutwardTime, *, modern: bool) -> View:
    """Return the view of events: of the core API, or of events.k8s.io."""
    render = modern_event_document if modern else event_document

    def entries(change: Change) -> Iterator[Shown]:
        changed, place = change.object, change.place
        if changed.resource != "pods":
            return
        for index, occurrence in enumerate(occurrences_of(changed, place), 1):
            number = change.number + index
            yield Shown(
                f"{changed.namespace}/{event_name(changed, number)}",
                number,
                dict,
                _event_fields(changed, place, number, occurrence),
                _event_document(changed, place, number, occurrence),
            )

    def _event_fields(
        changed: Recorded, place: int, number: int, occurrence: Occurrence
    ) -> Callable[[], dict[str, str]]:
        return lambda: event_fields(
            changed, event_name(changed, number), identity_of(changed, place), occurrence
        )

    def _event_document(
        changed: Recorded, place: int, number: int, occurrence: Occurrence
    ) -> Callable[[], Document]:
        return lambda: render(changed, number, identity_of(changed, place), occurrence, time)

    def snapshot(journal: Journal, number: int) -> list[Shown]:
        oldest = journal.now() - EVENT_LIFETIME
        found = [
            entry
            for change in journal.kept()
            if change.number <= number and change.object.versions[change.place].at >= oldest
            for entry in entries(change)
            if entry.number <= number
        ]
        return sorted(found, key=lambda entry: entry.key)

    def deltas(change: Change) -> list[Delta]:
        return [Delta(entry.number, None, entry) for entry in entries(change)]

    return View(snapshot, deltas)


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


__all__ = [
    "PLAIN_FIELDS",
    "POD_FIELDS",
    "Delta",
    "Document",
    "Shown",
    "View",
    "event_view",
    "identity_of",
    "object_view",
    "occurrences_of",
]
