"""Watches: the changes since a resource version as they come, with bookmarks, until the timeout."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from kfp_emulator.kubernetes.failures import Refusal, invalid_options, watch_expired
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
        self._seen = whole(query, "resourceVersion")
        self._position = 0
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
        try:
            there = self.begin()
            for start in range(0, len(there), _ENTRIES_AT_ONCE):
                entries = there[start : start + _ENTRIES_AT_ONCE]
                yield b"".join(self._line("ADDED", entry.document()) for entry in entries)
                await asyncio.sleep(0)
            while not self.closed:
                latest = self._journal.version
                lines, caught_up = self.take()
                if lines:
                    yield b"".join(lines)
                now = loop.time()
                if now >= deadline:
                    return
                if self._bookmarks and caught_up and now >= bookmark:
                    yield self._bookmark(latest)
                    bookmark = now + BOOKMARK_SECONDS
                    bookmark = bookmark if bookmark < deadline else deadline + 1
                if caught_up:
                    await self._changed(min(deadline, bookmark if self._bookmarks else deadline) - now)
                else:
                    await asyncio.sleep(0)
        except Refusal as refusal:
            yield msgspec.json.encode({"type": "ERROR", "object": refusal.document}) + b"\n"

    def begin(self) -> list[Shown]:
        """Return the objects that a watch without a version begins with; none where it has one.

        Raises:
            Refusal: 410, the history since its version is not kept any more.

        """
        journal, entries = self._journal, []
        if not self._seen:
            self._seen = journal.version
            entries = [
                each for each in self._view.snapshot(journal, self._seen, "") if self._selected.meets(each)
            ]
        elif self._seen < journal.compacted:
            raise watch_expired(self._seen, journal.compacted)
        self._position = journal.position(self._seen)
        return entries

    def take(self) -> tuple[list[bytes], bool]:
        """Return the lines of the next changes, and whether there are none after them yet.

        Raises:
            Refusal: 410, they are not kept any more.

        """
        changes = None if self.expired else self._journal.changes(self._position, _CHANGES_AT_ONCE)
        if changes is None:
            raise watch_expired(self._seen, self._journal.version)
        lines = [
            line
            for change in changes
            for delta in self._view.deltas(change)
            if delta.number > self._seen
            for line in self._delta(delta)
        ]
        self._position += len(changes)
        if changes:
            self._seen = max(self._seen, changes[-1].number)
        return lines, len(changes) < _CHANGES_AT_ONCE

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


def _deleted(before: Shown, number: int) -> Document:
    document = before.document()
    return {**document, "metadata": {**document["metadata"], "resourceVersion": str(number)}}
