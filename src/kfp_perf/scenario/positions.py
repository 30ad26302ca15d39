"""Where the values of a JSON text are: the line and column of each path, for messages."""

from __future__ import annotations

import dataclasses
import json
import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kfp_perf.errors import Position
from kfp_perf.scenario.documents import step

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from kfp_perf.errors import Problem

_TOKEN = re.compile(
    r'[ \t\r\n]*(?:(?P<string>"[^"\\]*(?:\\.[^"\\]*)*")|(?P<sign>[][{},:])|(?P<word>[^][{},:\s"]+))',
    re.DOTALL,
)
#: A path, as `step` writes it.
_STEP = r'(?:\.[A-Za-z0-9_$]+|\[\d+\]|\["(?:[^"\\]|\\.)*"\])'
_LAST_STEP = re.compile(rf"{_STEP}$")
_PATH = re.compile(rf"\${_STEP}*")


@dataclass(slots=True)
class _Open:
    """An object or a list that has not ended: its path, the next item's number, and the key before a value."""

    path: str
    is_object: bool
    index: int = 0
    key: str | None = None

    def next_path(self) -> str:
        if self.is_object:
            return step(self.path, self.key or "")
        return step(self.path, self.index)


def positions_of(text: str) -> dict[str, Position]:
    """Return where each value of a JSON text is, by its path: the key of a member, or else the value.

    Of a key that is given twice it is the last one. The text must be valid JSON.
    """
    ends = [found.start() for found in re.finditer("\n", text)]

    def position(offset: int) -> Position:
        line = bisect_right(ends, offset - 1)
        return Position(line + 1, offset - (ends[line - 1] + 1 if line else 0) + 1)

    found: dict[str, Position] = {}
    opened: list[_Open] = []
    for token in _TOKEN.finditer(text):
        begin = token.start(token.lastgroup or 0)
        sign, inner = token["sign"], opened[-1] if opened else None
        if sign in {"}", "]"}:
            opened.pop()
        elif sign == ",":
            if inner is not None:
                inner.index, inner.key = inner.index + 1, None
        elif sign == ":":
            continue
        elif inner is not None and inner.is_object and inner.key is None:
            inner.key = json.loads(token["string"])
            found[inner.next_path()] = position(begin)
        else:
            path = "$" if inner is None else inner.next_path()
            if inner is None or not inner.is_object:
                found[path] = position(begin)
            if sign is not None:
                opened.append(_Open(path, sign == "{"))
    return found


def position_in(positions: Mapping[str, Position], where: str, label: str) -> Position | None:
    """Return where a path of the file that `label` names is, or else the nearest object or list around it.

    None for another file, and for a whole file.
    """
    start = f"{label}: "
    matched = _PATH.match(where, len(start)) if where.startswith(start) else None
    if matched is None:
        return None
    path = matched[0]
    while path not in positions:
        shorter = _LAST_STEP.sub("", path)
        if shorter == path:
            return None
        path = shorter
    return positions[path]


def located(problems: Iterable[Problem], positions: Mapping[str, Position], label: str) -> Iterator[Problem]:
    """Yield the problems, those of the file that `label` names with their positions."""
    for one in problems:
        found = one.position or position_in(positions, one.where, label)
        yield dataclasses.replace(one, position=found)
