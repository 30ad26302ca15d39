"""The objects that readers can request: a bounded sample of those that lists returned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    import random
    from collections.abc import Hashable, Iterable, Iterator

Item = TypeVar("Item", bound="Hashable")

MOST_KNOWN = 1000
"""How many objects of a kind are in a sample."""


class KnownObjects(Generic[Item]):
    """A sample of objects that exist, or did recently. Picking, adding and removing take constant time.

    When the sample holds `most` objects, a new one replaces a random one, so that it follows what lists return.
    """

    def __init__(self, chance: random.Random, most: int = MOST_KNOWN) -> None:
        self._chance = chance
        self._most = most
        self._objects: list[Item] = []
        self._places: dict[Item, int] = {}

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[Item]:
        return iter(tuple(self._objects))

    def add(self, objects: Iterable[Item]) -> None:
        """Add objects that a list returned."""
        for one in objects:
            if one in self._places:
                continue
            if len(self._objects) >= self._most:
                self.remove(self._chance.choice(self._objects))
            self._places[one] = len(self._objects)
            self._objects.append(one)

    def pick(self) -> Item | None:
        """Return one at random; None where the sample is empty."""
        return self._chance.choice(self._objects) if self._objects else None

    def remove(self, one: Item) -> None:
        """Remove an object that is gone. Does nothing where it is not in the sample."""
        place = self._places.pop(one, None)
        if place is None:
            return
        last = self._objects.pop()
        if place < len(self._objects):
            self._objects[place] = last
            self._places[last] = place
