"""The Kubernetes API: from a request to its answer, a list that is written in parts, or a watch."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from kfp_emulator.kubernetes.events import SELECTABLE
from kfp_emulator.kubernetes.failures import (
    Refusal,
    bad_request,
    method_not_allowed,
    no_such_path,
    not_found,
)
from kfp_emulator.kubernetes.lists import read_page, selection
from kfp_emulator.kubernetes.permissions import Action
from kfp_emulator.kubernetes.resources import BY_PLACE, Resource, discovery
from kfp_emulator.kubernetes.selectors import matches
from kfp_emulator.kubernetes.views import PLAIN_FIELDS, POD_FIELDS, View, event_view, object_view, show
from kfp_emulator.kubernetes.watches import Kind, Watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from kfp_emulator.kubernetes.installation import Installation

_ENTRIES_AT_ONCE = 25
"""How many objects of a list are written before other requests are served."""
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_FIELDS = {"pods": POD_FIELDS, "events": SELECTABLE}


@dataclass(frozen=True, slots=True)
class Request:
    """A request as far as the API looks at it."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    authorization: str = ""
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Document:
    """An answer that is one document; `status` is HTTP's."""

    document: Any
    status: int = 200
    text: bool = False


class KubernetesApi:
    """Answers requests about one installation."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._views: dict[tuple[str, str], View] = {
            ("", "events"): event_view(installation.time, modern=False),
            ("events.k8s.io", "events"): event_view(installation.time, modern=True),
        }

    def operation(self, request: Request) -> str:
        """Return the operation of a request, as fault rules name it: `ListPods`, `WatchEvents`, `GetVersion`."""
        try:
            resource, _, name = _target(request.path)
        except Refusal:
            return "Get" + "".join(part.capitalize() for part in request.path.strip("/").split("/")[:1])
        verb = "get" if name else "list"
        if request.method == "POST":
            verb = "create"
        elif _watched(request):
            verb = "watch"
        return verb.capitalize() + (resource.kind + "s" if verb in {"list", "watch"} else resource.kind)

    def answer(self, request: Request) -> Document | Watch | AsyncIterator[bytes]:
        """Answer a request.

        Raises:
            Refusal: the answer is a Status.

        """
        segments = [each for each in request.path.split("/") if each]
        if segments[:1] in (["healthz"], ["livez"], ["readyz"]):
            return Document("ok", text=True)
        user = self._installation.permissions.user(request.authorization)
        found = discovery(segments)
        if found is not None:
            return Document(found)
        resource, namespace, name = _target(request.path)
        if resource.kind == "SelfSubjectAccessReview":
            return self._review(request, user)
        if request.method != "GET":
            raise method_not_allowed()
        verb = "get" if name else "watch" if _watched(request) else "list"
        action = Action(verb, resource.name, resource.group, namespace, name)
        self._installation.permissions.check(user, action)
        if verb not in resource.verbs:
            raise method_not_allowed()
        if resource.group == "metrics.k8s.io":
            return self._usage(request, resource, namespace, name)
        if name:
            return self._one(resource, namespace, name)
        view = self._view(resource)
        fields = _FIELDS.get(resource.name, PLAIN_FIELDS)
        selected = selection(request.query, namespace, fields)
        kind = Kind(resource.kind, resource.api_version)
        if verb == "watch":
            return Watch(self._installation.journal, view, kind, selected, request.query)
        page = read_page(self._installation.journal, view, selected, request.query)
        metadata: dict[str, Any] = {"resourceVersion": str(page.version)}
        if page.resume:
            metadata["continue"] = page.resume
            if page.left is not None:
                metadata["remainingItemCount"] = page.left
        head = {"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": metadata}
        return _parts(head, page.entries)

    def _view(self, resource: Resource) -> View:
        key = (resource.group, resource.name)
        if key not in self._views:
            self._views[key] = object_view(resource.name)
        return self._views[key]

    def _one(self, resource: Resource, namespace: str, name: str) -> Document:
        journal, entry = self._installation.journal, None
        if resource.name == "events":
            events = self._view(resource).snapshot(journal, journal.version, f"{namespace}/{name}")
            entry = next((each for each in events if each.key == f"{namespace}/{name}"), None)
        elif (found := journal.get(resource.name, namespace, name)) is not None:
            entry = show(found, len(found.versions) - 1)
        if entry is None:
            raise not_found(resource.name, resource.group, name)
        kind = Kind(resource.kind, resource.api_version)
        return Document(kind.of(entry.document()))

    def _usage(self, request: Request, resource: Resource, namespace: str, name: str) -> Document:
        documents = [
            each
            for each in self._installation.usage.documents()
            if not namespace or each["metadata"]["namespace"] == namespace
        ]
        kind = Kind(resource.kind, resource.api_version)
        if name:
            found = next((each for each in documents if each["metadata"]["name"] == name), None)
            if found is None:
                raise not_found("podmetrics", resource.group, f"{namespace}/{name}")
            return Document(kind.of(found))
        selected = selection(request.query, namespace, PLAIN_FIELDS)
        items = [each for each in documents if matches(selected.labels, each["metadata"]["labels"])]
        head = {"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": {}}
        return Document({**head, "items": items})

    def _review(self, request: Request, user: str) -> Document:
        """Answer whether the user may do something."""
        if request.method != "POST":
            raise method_not_allowed()
        try:
            document = msgspec.json.decode(request.body)
            asked = document["spec"].get("resourceAttributes") or {}
            action = Action(
                *(str(asked.get(key, "")) for key in ("verb", "resource", "group", "namespace", "name"))
            )
        except (*_UNREADABLE, LookupError, TypeError, AttributeError):
            raise bad_request("the object provided is no SelfSubjectAccessReview") from None
        allowed = self._installation.permissions.allowed(user, action)
        return Document(
            {
                "kind": "SelfSubjectAccessReview",
                "apiVersion": "authorization.k8s.io/v1",
                "metadata": {"creationTimestamp": None},
                "spec": document["spec"],
                "status": {"allowed": allowed, "reason": "the emulator allows it" if allowed else ""},
            },
            201,
        )


def _watched(request: Request) -> bool:
    return request.query.get("watch", "").lower() in {"true", "1"}


def _target(path: str) -> tuple[Resource, str, str]:
    """Return the resource of a path, its namespace and name; both may be empty.

    Raises:
        Refusal: 404, there is no such resource.

    """
    segments = [each for each in path.split("/") if each]
    match segments:
        case ["api", "v1", *rest]:
            group, version = "", "v1"
        case ["apis", group, version, *rest]:
            pass
        case _:
            raise no_such_path()
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    resource = BY_PLACE.get((group, version, rest[0])) if rest else None
    if resource is None or len(rest) > 2 or (namespace and not resource.namespaced):
        raise no_such_path()
    name = rest[1] if len(rest) > 1 else ""
    if name and resource.namespaced and not namespace:
        raise no_such_path()
    return resource, namespace, name


async def _parts(head: dict[str, Any], entries: list[Any]) -> AsyncIterator[bytes]:
    """Write a list so that other requests are served meanwhile: ten thousand pods are 200 MB."""
    yield msgspec.json.encode(head)[:-1] + b',"items":['
    for start in range(0, len(entries), _ENTRIES_AT_ONCE):
        chunk = entries[start : start + _ENTRIES_AT_ONCE]
        encoded = b",".join(msgspec.json.encode(entry.document()) for entry in chunk)
        yield (b"," if start else b"") + encoded
        await asyncio.sleep(0)
    yield b"]}\n"
