"""Which id of the emulator stands for which id of the recording; learnt from the answers."""

from __future__ import annotations

import re

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
SPAWNED = r"[a-z0-9]{5}-\d+-\d{6,10}\b"
"""The end of the name of a run that a schedule started: five random characters, its index, and a hash."""
_GENERATED = re.compile(f"{UUID}|{SPAWNED}")


class Ids:
    """A one-to-one mapping from recorded ids to the emulator's; whole tokens and names are ids here, too."""

    def __init__(self, known: dict[str, str] | None = None) -> None:
        self._known = dict(known or {})
        self._taken = {there: here for here, there in self._known.items()}

    def copy(self) -> Ids:
        """Return a mapping that can learn without changing this one."""
        return Ids(self._known)

    def learn(self, recorded: str, emulated: str) -> bool:
        """Note that two ids belong together; false where one of them belongs to another one already."""
        if self._known.setdefault(recorded, emulated) != emulated:
            return False
        return self._taken.setdefault(emulated, recorded) == recorded

    def translate(self, text: str) -> str:
        """Return a text with the emulator's ids in place of the recorded ones."""
        if text in self._known:
            return self._known[text]
        return _GENERATED.sub(lambda found: self._known.get(found[0], found[0]), text)

    def beginning_with(self, recorded: str) -> str | None:
        """Return the emulator's id for the only recorded one that begins so, None where there is none."""
        found = {there for here, there in self._known.items() if here.startswith(recorded)}
        return found.pop() if len(found) == 1 else None

    def same(self, recorded: str, emulated: str) -> bool:
        """Whether two texts are equal but for ids that belong together; new pairs of ids are learnt."""
        if recorded == emulated or self._known.get(recorded) == emulated:
            return True
        here, there = _GENERATED.findall(recorded), _GENERATED.findall(emulated)
        if len(here) != len(there) or _GENERATED.sub("", recorded) != _GENERATED.sub("", emulated):
            return False
        return all(one == other or self.learn(one, other) for one, other in zip(here, there, strict=True))


__all__ = ["Ids"]
