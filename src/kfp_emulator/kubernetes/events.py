"""Events about pods, in the shape of the core API and in that of events.k8s.io."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_emulator.kubernetes.identity import uid
from kfp_emulator.kubernetes.pod_status import rfc3339

if TYPE_CHECKING:
    from kfp_emulator.kubernetes.journal import Recorded
    from kfp_emulator.kubernetes.occurrences import Occurrence
    from kfp_emulator.protocol.wire import OutwardTime

SELECTABLE = (
    "involvedObject.apiVersion",
    "involvedObject.fieldPath",
    "involvedObject.kind",
    "involvedObject.name",
    "involvedObject.namespace",
    "involvedObject.resourceVersion",
    "involvedObject.uid",
    "metadata.name",
    "metadata.namespace",
    "reason",
    "reportingComponent",
    "source",
    "type",
)


def event_name(about: Recorded, number: int) -> str:
    """Return the name of an event: the object's, and 16 hexadecimal digits."""
    return f"{about.name}.{number:016x}"


def event_fields(about: Recorded, name: str, identity: str, occurrence: Occurrence) -> dict[str, str]:
    """Return the fields that selectors may name."""
    return {
        "involvedObject.apiVersion": "v1",
        "involvedObject.fieldPath": occurrence.field_path,
        "involvedObject.kind": "Pod",
        "involvedObject.name": about.name,
        "involvedObject.namespace": about.namespace,
        "involvedObject.resourceVersion": str(about.versions[0].number),
        "involvedObject.uid": identity,
        "metadata.name": name,
        "metadata.namespace": about.namespace,
        "reason": occurrence.reason,
        "reportingComponent": occurrence.component,
        "source": occurrence.component,
        "type": occurrence.kind,
    }


def _reference(about: Recorded, identity: str, occurrence: Occurrence) -> dict[str, Any]:
    reference = {
        "kind": "Pod",
        "namespace": about.namespace,
        "name": about.name,
        "uid": identity,
        "apiVersion": "v1",
        "resourceVersion": str(about.versions[0].number),
    }
    return {**reference, "fieldPath": occurrence.field_path} if occurrence.field_path else reference


def _metadata(about: Recorded, number: int, at: str) -> dict[str, Any]:
    name = event_name(about, number)
    return {
        "name": name,
        "namespace": about.namespace,
        "uid": uid(about.namespace, name),
        "resourceVersion": str(number),
        "creationTimestamp": at,
    }


def _source(occurrence: Occurrence) -> dict[str, str]:
    host = {"host": occurrence.host} if occurrence.host else {}
    return {"component": occurrence.component, **host}


def event_document(
    about: Recorded, number: int, identity: str, occurrence: Occurrence, time: OutwardTime
) -> dict[str, Any]:
    """Return an event of the core API."""
    at = rfc3339(time.seconds(occurrence.at))
    return {
        "metadata": _metadata(about, number, at),
        "involvedObject": _reference(about, identity, occurrence),
        "reason": occurrence.reason,
        "message": occurrence.message,
        "source": _source(occurrence),
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
        "type": occurrence.kind,
        "eventTime": None,
        "reportingComponent": occurrence.component,
        "reportingInstance": occurrence.host,
    }


def modern_event_document(
    about: Recorded, number: int, identity: str, occurrence: Occurrence, time: OutwardTime
) -> dict[str, Any]:
    """Return the same event of events.k8s.io/v1."""
    at = rfc3339(time.seconds(occurrence.at))
    return {
        "metadata": _metadata(about, number, at),
        "eventTime": None,
        "reportingController": occurrence.component,
        "reportingInstance": occurrence.host,
        "reason": occurrence.reason,
        "regarding": _reference(about, identity, occurrence),
        "note": occurrence.message,
        "type": occurrence.kind,
        "deprecatedSource": _source(occurrence),
        "deprecatedFirstTimestamp": at,
        "deprecatedLastTimestamp": at,
        "deprecatedCount": 1,
    }
