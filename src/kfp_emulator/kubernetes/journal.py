"""What happened to the objects of the cluster, in the order of their resource versions.

Nothing is rendered here: an object holds facts, and which of them were true at which version. So a change costs a
tuple, whoever reads, and a list of an older version is as exact as one of the newest.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Iterator

STRIDE = 16
"""Resource versions between two changes: the events that belong to a change have those after its own."""
KEPT_CHANGES = 50_000
"""How many changes can be watched again, like the window of a real API server's watch cache."""
EARLIER_CHANGES = 1000
"""How many changes a cluster has seen before its history begins."""
DELETED = -1
"""The stage of an object that is not there any more."""


class Version(NamedTuple):
    """A resource version of an object, the stage that it shows, and its time in microseconds."""

    number: int
    stage: int
    at: int


class Recorded:
    """An object of the cluster and its versions; subclasses hold the facts that a view renders."""

    __slots__ = ("key", "name", "namespace", "resource", "versions")

    def __init__(self, resource: str, namespace: str, name: str) -> None:
        self.resource = resource
        self.namespace = namespace
        self.name = name
        self.key = f"{namespace}/{name}"
        """By which lists are sorted."""
        self.versions: list[Version] = []

    def place(self, number: int) -> int:
        """Return the place of the newest version not after `number`, -1 where it was not there."""
        place = len(self.versions) - 1
        if self.versions[place].number > number:
            place = bisect_right(self.versions, number, key=lambda version: version.number) - 1
        return -1 if place < 0 or self.versions[place].stage == DELETED else place


class Change(NamedTuple):
    """One change of one object."""

    number: int
    object: Recorded
    place: int


class Journal:
    """The objects of the cluster and their changes.

    Args:
        now: the true time in microseconds.
        kept: how many changes are kept.

    """

    def __init__(self, now: Callable[[], int], kept: int = KEPT_CHANGES) -> None:
        self.now = now
        self.compacted = EARLIER_CHANGES * STRIDE + STRIDE - 1
        """Changes up to this version cannot be watched, nor lists of it be continued."""
        self._kept = kept
        self._count = EARLIER_CHANGES
        self._base = 0
        self._changes: list[Change] = []
        self._objects: dict[str, dict[str, Recorded]] = {}
        self._keys: dict[str, list[str]] = {}
        """Sorted keys of the objects by resource, made when they are needed."""
        self._gone: list[Recorded] = []
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def version(self) -> int:
        """The newest resource version, events included."""
        return self._count * STRIDE + STRIDE - 1

    def record(self, changed: Recorded, stage: int) -> None:
        """Append a change: the object shows `stage` from now on, or is gone where that is DELETED."""
        self._count += 1
        number = self._count * STRIDE
        objects = self._objects.get(changed.resource)
        if objects is None:
            objects = self._objects[changed.resource] = {}
        if not changed.versions:
            objects[changed.key] = changed
            self._keys.pop(changed.resource, None)
        elif stage == DELETED:
            if objects.get(changed.key) is changed:
                del objects[changed.key]
                self._keys.pop(changed.resource, None)
            self._gone.append(changed)
        changed.versions.append(Version(number, stage, self.now()))
        self._changes.append(Change(number, changed, len(changed.versions) - 1))
        if len(self._changes) > self._kept * 5 // 4:
            self._trim()
        if self._waiting:
            self.wake()

    def wake(self) -> None:
        """Wake all that wait for a change."""
        waiting, self._waiting = self._waiting, set()
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def wait_for_change(self, future: asyncio.Future[None]) -> None:
        """Have a future resolved by the next change."""
        self._waiting.add(future)

    def forget_waiter(self, future: asyncio.Future[None]) -> None:
        """Drop a future that waits no longer."""
        self._waiting.discard(future)

    def compact(self) -> None:
        """Forget the history, as etcd does every five minutes: what was can neither be watched nor continued."""
        self.compacted = self.version
        self._forget_gone()
        self.wake()

    def _trim(self) -> None:
        dropped = len(self._changes) - self._kept
        self.compacted = max(self.compacted, self._changes[dropped - 1].number + STRIDE - 1)
        del self._changes[:dropped]
        self._base += dropped
        self._forget_gone()

    def _forget_gone(self) -> None:
        self._gone = [each for each in self._gone if each.versions[-1].number > self.compacted]

    # --- reading

    def get(self, resource: str, namespace: str, name: str) -> Recorded | None:
        """Return an object that is there now."""
        return self._objects.get(resource, {}).get(f"{namespace}/{name}")

    def objects(self, resource: str) -> Iterable[Recorded]:
        """Return the objects that are there now."""
        return self._objects.get(resource, {}).values()

    def snapshot(self, resource: str, number: int, start: str = "") -> Iterator[tuple[Recorded, int]]:
        """Yield the objects that were there at a version, from a key on, with the place of the version."""
        keys, objects = self._sorted_keys(resource), self._objects.get(resource, {})
        there: Iterable[Recorded] = (objects[key] for key in keys[bisect_left(keys, start) :])
        if number < self.version:
            gone = (each for each in self._gone if each.resource == resource and each.key >= start)
            there = sorted([*there, *gone], key=lambda each: each.key)
        for each in there:
            place = each.place(number)
            if place >= 0:
                yield each, place

    def count(self, resource: str, number: int, start: str, namespace: str) -> int:
        """Return how many objects were there at a version, from a key on, in a namespace or (empty) in all."""
        prefix = f"{namespace}/" if namespace else ""
        if number < self.version:
            shown = self.snapshot(resource, number, start)
            return sum(each.key.startswith(prefix) for each, _ in shown)
        keys = self._sorted_keys(resource)
        end = bisect_left(keys, f"{namespace}0") if namespace else len(keys)  # "0" follows "/"
        return max(0, end - bisect_left(keys, max(start, prefix)))

    def _sorted_keys(self, resource: str) -> list[str]:
        keys = self._keys.get(resource)
        if keys is None:
            keys = self._keys[resource] = sorted(self._objects.get(resource, ()))
        return keys

    def position(self, number: int) -> int:
        """Return the position of the first change whose own version, or one of its events', is after `number`."""
        latest = number - STRIDE + 1
        return self._base + bisect_right(self._changes, latest, key=lambda change: change.number)

    def changes(self, position: int, limit: int) -> list[Change] | None:
        """Return at most `limit` changes from a position on; None where the first of them is not kept any more."""
        if position < self._base:
            return None
        start = position - self._base
        return self._changes[start : start + limit]

    def kept(self) -> Iterator[Change]:
        """Return all changes that are kept, the oldest first."""
        return iter(self._changes)
