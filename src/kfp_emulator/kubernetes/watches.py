"""Watches: the changes since a resource version as they come, with bookmarks, until the timeout."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from kfp_emulator.kubernetes.failures import invalid_options, watch_expired
from kfp_emulator.kubernetes.lists import Selection, whole

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from kfp_emulator.kubernetes.journal import Journal
    from kfp_emulator.kubernetes.views import Delta, Document, Shown, View

BOOKMARK_SECONDS = 60.0
"""How often a watch that allows it gets a bookmark (bookmarkFrequency of apiserver's cacher)."""
BEFORE_TIMEOUT_SECONDS = 2.0
"""How long before its timeout a watch gets its last bookmark."""
LEAST_TIMEOUT_SECONDS = 1800
"""The shortest a watch lasts where the client names no timeout; twice as long at most (--min-request-timeout)."""
_CHANGES_AT_ONCE = 50
_ENTRIES_AT_ONCE = 25


@dataclass(frozen=True, slots=True)
class Kind:
    """The kind of the objects, for their documents: `Pod`, `v1`."""

    name: str
    version: str

    def of(self, document: Document) -> Document:
        """Return a document with its kind."""
        return {"kind": self.name, "apiVersion": self.version, **document}


class Watch:
    """One watch of one client.

    Args:
        journal: the changes.
        view: what they mean for the objects that are watched.
        kind: of the objects.
        selected: which objects.
        query: the options of the request.

    Raises:
        Refusal: the options cannot be read.

    """

    def __init__(
        self,
        journal: Journal,
        view: View,
        kind: Kind,
        selected: Selection,
        query: Mapping[str, str],
    ) -> None:
        if query.get("sendInitialEvents") is not None:
            raise invalid_options(
                "sendInitialEvents",
                "Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled",
            )
        self._journal = journal
        self._view = view
        self._kind = kind
        self._selected = selected
        self._since = whole(query, "resourceVersion")
        self._bookmarks = query.get("allowWatchBookmarks", "").lower() in {"true", "1"}
        seconds = whole(query, "timeoutSeconds")
        self._timeout = float(seconds) or LEAST_TIMEOUT_SECONDS * (1 + random.random())
        self.closed = False
        self.expired = False

    def close(self) -> None:
        """End the watch: its client has gone, or it is cut."""
        self.closed = True
        self._journal.wake()

    def expire(self) -> None:
        """End the watch with the error of a history that is not kept any more."""
        self.expired = True
        self._journal.wake()

    async def lines(self) -> AsyncIterator[bytes]:
        """Yield lines of JSON: changes, bookmarks, and an error where the history is not kept any more."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        bookmark = min(loop.time() + BOOKMARK_SECONDS, deadline - BEFORE_TIMEOUT_SECONDS)
        journal, seen = self._journal, self._since
        if not seen:
            seen = journal.version
            entries = [entry for entry in self._view.snapshot(journal, seen) if self._selected.meets(entry)]
            for start in range(0, len(entries), _ENTRIES_AT_ONCE):
                chunk = entries[start : start + _ENTRIES_AT_ONCE]
                yield b"".join(self._line("ADDED", entry.document()) for entry in chunk)
                await asyncio.sleep(0)
        elif seen < journal.compacted:
            yield self._error(seen)
            return
        position = journal.position(seen)
        while not self.closed:
            latest = journal.version
            changes = None if self.expired else journal.changes(position, _CHANGES_AT_ONCE)
            if changes is None:
                yield self._error(seen)
                return
            position += len(changes)
            lines = [
                line
                for change in changes
                for delta in self._view.deltas(change)
                if delta.number > seen
                for line in self._delta(delta)
            ]
            if changes:
                seen = max(seen, changes[-1].number)
            if lines:
                yield b"".join(lines)
            now = loop.time()
            if now >= deadline:
                return
            if self._bookmarks and now >= bookmark and len(changes) < _CHANGES_AT_ONCE:
                yield self._bookmark(latest)
                bookmark = now + BOOKMARK_SECONDS if now + BOOKMARK_SECONDS < deadline else deadline + 1
            if changes:
                await asyncio.sleep(0)
            else:
                await self._changed(min(deadline, bookmark if self._bookmarks else deadline) - now)

    async def _changed(self, seconds: float) -> None:
        """Wait for a change, or for so long."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._journal.wait_for_change(future)
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await future
        except TimeoutError:
            pass
        finally:
            self._journal.forget_waiter(future)

    def _delta(self, delta: Delta) -> list[bytes]:
        before = delta.before if delta.before is not None and self._selected.meets(delta.before) else None
        after = delta.after if delta.after is not None and self._selected.meets(delta.after) else None
        if after is not None:
            return [self._line("MODIFIED" if before is not None else "ADDED", after.document())]
        return [] if before is None else [self._line("DELETED", _deleted(before, delta.number))]

    def _line(self, kind: str, document: Document) -> bytes:
        return msgspec.json.encode({"type": kind, "object": self._kind.of(document)}) + b"\n"

    def _bookmark(self, version: int) -> bytes:
        metadata = {"resourceVersion": str(version), "creationTimestamp": None}
        empty = {"spec": {"containers": None}, "status": {}} if self._kind.name == "Pod" else {}
        return self._line("BOOKMARK", {"metadata": metadata, **empty})

    def _error(self, seen: int) -> bytes:
        refusal = watch_expired(seen, self._journal.compacted)
        return msgspec.json.encode({"type": "ERROR", "object": refusal.document}) + b"\n"


def _deleted(before: Shown, number: int) -> Document:
    document = before.document()
    return {**document, "metadata": {**document["metadata"], "resourceVersion": str(number)}}


__all__ = ["BOOKMARK_SECONDS", "Kind", "Watch"]
