"""Following a list of objects: list it, watch it, and go on after cuts without losing or doubling anything.

The protocol: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes. Every
object and bookmark carries a resourceVersion, from which the next watch goes on. Where the server no longer has
that version (410), the whole list is read again.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import msgspec

from kfp_perf.evidence.kubernetes.access import NoAccess
from kfp_perf.evidence.kubernetes.api import ApiFault
from kfp_perf.evidence.kubernetes.objects import Metadata

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from kfp_perf.evidence.kubernetes.api import KubernetesApi

_PAGE = 250
#: The server ends a watch after so long, so that no connection grows old.
_WATCH_SECONDS = 240
#: Servers send a bookmark about once a minute; a connection that is silent for longer may be dead.
_SILENCE_SECONDS = 90.0
_GONE = 410
_FIRST_DELAY_SECONDS = 0.25
_LONGEST_DELAY_SECONDS = 30.0
#: A watch that lasted so long was a good one, even if nothing happened.
_LONG_SECONDS = 0.5
#: After these no answer will be different soon, until rights are changed or something is installed.
_REFUSED = frozenset({401, 403, 404})


class WithMetadata(Protocol):
    """An object of Kubernetes."""

    metadata: Metadata


Watched = TypeVar("Watched", bound=WithMetadata)
_Received = TypeVar("_Received", bound=WithMetadata, contravariant=True)


class Receiver(Protocol[_Received]):
    """Receives what is seen of a list of objects; may see the same state of an object more than once."""

    def changed(self, seen: _Received) -> None:
        """An object was added or has changed."""
        ...

    def deleted(self, seen: _Received) -> None:
        """An object was deleted; this is its last state."""
        ...

    def listed(self, seen: Sequence[_Received]) -> None:
        """The list was read as a whole: what was known before and is not in it has gone meanwhile."""
        ...

    def reading(self) -> None:
        """The list is being followed."""
        ...

    def failed(self, why: str, status: int) -> None:
        """A look failed (HTTP status, 0: no answer); the next one follows by itself."""
        ...


class _ListMetadata(msgspec.Struct, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class ObjectList(msgspec.Struct, Generic[Watched]):
    """A page of a list."""

    metadata: _ListMetadata = msgspec.field(default_factory=_ListMetadata)
    items: list[Watched] | None = None


class WatchEvent(msgspec.Struct, Generic[Watched]):
    """A line of a watch."""

    object: Watched
    type: str = ""


@dataclass(frozen=True, slots=True)
class Resource(Generic[Watched]):
    """A list of objects of one kind: its path, the decoders of pages and of a watch's lines, its selectors."""

    path: str
    lists: msgspec.json.Decoder[ObjectList[Watched]]
    events: msgspec.json.Decoder[WatchEvent[Watched]]
    query: Mapping[str, str] = field(default_factory=dict)


class _AnyObject(msgspec.Struct):
    metadata: Metadata = msgspec.field(default_factory=Metadata)
    code: int = 0
    message: str = ""


class _AnyEvent(msgspec.Struct):
    type: str = ""
    object: _AnyObject = msgspec.field(default_factory=_AnyObject)


_any_event = msgspec.json.Decoder(_AnyEvent)


class Follower(Generic[Watched]):
    """Follows a list until it is cancelled.

    A namespace may hold thousands of pods of earlier runs, of 18 KB each. So the first list may be a part of it:
    `first` are selectors beside those of the resource, and with `from_now` nothing is read of what exists already.
    After a gap the whole list is read.
    """

    def __init__(
        self,
        api: KubernetesApi,
        resource: Resource[Watched],
        receiver: Receiver[Watched],
        *,
        from_now: bool = False,
        first: Mapping[str, str] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._api = api
        self._resource = resource
        self._receiver = receiver
        self._from_now = from_now
        self._first = first or {}
        self._sleep = sleep
        self._version = ""
        self._delay = 0.0

    async def run(self) -> None:
        """Follow the list."""
        while True:
            try:
                if not self._version:
                    await self._list()
                self._receiver.reading()
                await self._watch()
            except ApiFault as fault:
                if fault.status == _GONE:
                    self._version = ""
                    self._from_now, self._first = False, {}
                    await self._wait(self._grown())
                    continue
                self._receiver.failed(fault.why, fault.status)
                slow = _LONGEST_DELAY_SECONDS if fault.status in _REFUSED else fault.retry_after_seconds
                await self._wait(max(self._grown(), slow))
            except NoAccess as problem:
                self._receiver.failed(problem.why, 401)
                await self._wait(_LONGEST_DELAY_SECONDS)

    async def _wait(self, seconds: float) -> None:
        # Not all clients of a server that comes back should send requests at the same time.
        await self._sleep(seconds * random.uniform(0.8, 1.2))

    def _grown(self) -> float:
        """The delay before the next look, doubled each time until something is read."""
        self._delay = min(max(2.0 * self._delay, _FIRST_DELAY_SECONDS), _LONGEST_DELAY_SECONDS)
        return self._delay

    async def _list(self) -> None:
        limit = 1 if self._from_now else _PAGE
        query: dict[str, str | int] = {**self._resource.query, **self._first, "limit": limit}
        found: list[Watched] = []
        while True:
            page = await self._api.get(self._resource.path, self._resource.lists, query)
            found += page.items or ()
            # All pages are of the version that the first was read at.
            if self._from_now or not page.metadata.continue_:
                break
            if page.metadata.continue_ == query.get("continue"):
                raise ApiFault("the list has no end: a page names itself as the next one")
            query = {**query, "continue": page.metadata.continue_}
        if not self._from_now:
            self._receiver.listed(found)
        self._version = page.metadata.resource_version
        self._delay = 0.0

    async def _watch(self) -> None:
        query: dict[str, str | int] = {
            **self._resource.query,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": _WATCH_SECONDS,
        }
        began = asyncio.get_running_loop().time()
        lines = self._api.lines(self._resource.path, query, _SILENCE_SECONDS)
        async with contextlib.aclosing(lines) as pieces:  # type: ignore[type-var]
            async for piece in pieces:
                for line in piece:
                    if line:
                        self._event(line)
                self._delay = 0.0
        if asyncio.get_running_loop().time() - began >= _LONG_SECONDS:
            self._delay = 0.0
        # A server that ends every watch at once must not get requests without a pause.
        await self._wait(self._grown())

    def _event(self, line: bytes) -> None:
        try:
            event = self._resource.events.decode(line)
        except msgspec.DecodeError as error:
            # The object of an error is a Status, which has another form. Any other event would be the same the
            # next time, and is skipped.
            metadata = self._raise_status(line)
            self._receiver.failed(f"an event of the watch cannot be read: {error}", 200)
            self._version = metadata.resource_version or self._version
            return
        what, seen = event.type, event.object
        if what == "ERROR":
            self._raise_status(line)
        elif what == "DELETED":
            self._receiver.deleted(seen)
        elif what != "BOOKMARK":
            self._receiver.changed(seen)
        self._version = seen.metadata.resource_version or self._version

    @staticmethod
    def _raise_status(line: bytes) -> Metadata:
        """Raise the fault that an event of the type ERROR holds; for others return what names the object."""
        try:
            event = _any_event.decode(line)
        except msgspec.DecodeError:
            raise ApiFault("what the watch gives is no event") from None
        if event.type == "ERROR":
            raise ApiFault(f"{event.object.message} ({event.object.code})", event.object.code)
        return event.object.metadata
