"""The ids that readers can ask for: a bounded sample of those that lists returned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    import random
    from collections.abc import Hashable, Iterable, Iterator

Thing = TypeVar("Thing", bound="Hashable")

MOST_KNOWN = 1000
"""How many things of a kind are known at a time."""


class Known(Generic[Thing]):
    """A sample of objects that exist, or did recently. Picking, adding and removing take constant time.

    When the sample holds `most` objects, a new one replaces a random one, so that it follows what lists return.
    """

    def __init__(self, chance: random.Random, most: int = MOST_KNOWN) -> None:
        self._chance = chance
        self._most = most
        self._things: list[Thing] = []
        self._places: dict[Thing, int] = {}

    def __len__(self) -> int:
        return len(self._things)

    def __iter__(self) -> Iterator[Thing]:
        return iter(tuple(self._things))

    def add(self, things: Iterable[Thing]) -> None:
        """Add objects that a list returned."""
        for thing in things:
            if thing in self._places:
                continue
            if len(self._things) >= self._most:
                self.forget(self._chance.choice(self._things))
            self._places[thing] = len(self._things)
            self._things.append(thing)

    def pick(self) -> Thing | None:
        """Return one at random; None where nothing is known."""
        return self._chance.choice(self._things) if self._things else None

    def forget(self, thing: Thing) -> None:
        """Remove an object that is gone. Does nothing where it is not in the sample."""
        place = self._places.pop(thing, None)
        if place is None:
            return
        last = self._things.pop()
        if place < len(self._things):
            self._things[place] = last
            self._places[last] = place
