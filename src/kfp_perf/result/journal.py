"""The journal: what a test is about to make on the server, written down before it does.

After a crash, even a `kill -9`, it tells what may be left behind: an object whose creation was answered by its
id, one that was cut off by the unique name that it was to get.
"""

from __future__ import annotations

import contextlib
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from kfp_perf.errors import RunnerError
from kfp_perf.result.append_file import LineFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class ObjectKind(StrEnum):
    """What a test makes, in the order in which it is to be deleted."""

    RUN = "run"
    RECURRING_RUN = "recurring_run"
    EXPERIMENT = "experiment"
    PIPELINE = "pipeline"


class Made(msgspec.Struct, omit_defaults=True):
    """One object that a test made, or was about to make. `id` is empty where the server never told it.

    `parent` is the id of the experiment that a run is in. `kept`: it was left on purpose.
    """

    kind: ObjectKind
    name: str
    namespace: str = ""
    parent: str = ""
    id: str = ""
    kept: bool = False


class _Line(Made, omit_defaults=True):
    event: str = "intend"


class _Head(msgspec.Struct):
    """The first line: which server the journal speaks of."""

    target: str


_line_decoder = msgspec.json.Decoder(_Line)
_head_decoder = msgspec.json.Decoder(_Head)


class Journal:
    """A JSON line an event, written before the request leaves; any thread may write.

    A new one begins with the URL of its `target`, the server on which all of it is.
    Where an intention finds no room, nothing is made. What became of one is not needed to find its object: it
    is let go.
    """

    def __init__(self, path: Path, target: str = "") -> None:
        self.path = path
        self._lines = LineFile(path)
        if target:
            self._write(_Head(target))

    def intend(self, kind: ObjectKind, name: str, *, namespace: str = "", parent: str = "") -> None:
        """Say that an object of this unique name is to be made. Raises `RunnerError` where there is no room."""
        try:
            self._lines.append(
                msgspec.json.encode(_Line(kind=kind, name=name, namespace=namespace, parent=parent))
            )
        except OSError as error:
            text = f"{self.path} cannot be written ({error.strerror}), so nothing more is made on the server"
            raise RunnerError(text) from error

    def made(self, kind: ObjectKind, name: str, id: str) -> None:  # noqa: A002  the field's name in KFP
        """Say which id the object got."""
        self._write(_Line(event="made", kind=kind, name=name, id=id))

    def gone(self, kind: ObjectKind, name: str) -> None:
        """Say that the object is deleted, or that the server refused to make it."""
        self._write(_Line(event="gone", kind=kind, name=name))

    def keep(self, kind: ObjectKind, name: str) -> None:
        """Say that the object stays when the test cleans up, for someone to look at."""
        self._write(_Line(event="keep", kind=kind, name=name))

    def close(self) -> None:
        """Close the file. Harmless when called again."""
        self._lines.close()

    def _write(self, line: _Line | _Head) -> None:
        with contextlib.suppress(OSError):
            self._lines.append(msgspec.json.encode(line))


def target_of(path: Path) -> str:
    """Read the URL of the server that a journal speaks of; empty where an older version did not write it down."""
    with path.open("rb") as file, contextlib.suppress(msgspec.DecodeError):
        return _head_decoder.decode(file.readline()).target
    return ""


def left_behind(path: Path) -> list[Made]:
    """Read what a journal says may still be on the server, in the order in which it is to be deleted.

    A last line that was cut short is passed over: what it spoke of had not been asked for.
    """
    alive: dict[tuple[ObjectKind, str], Made] = {}
    for line in _lines(path):
        key = (line.kind, line.name)
        if line.event == "gone":
            alive.pop(key, None)
        elif line.event == "made" and key in alive:
            alive[key].id = line.id
        elif line.event == "keep" and key in alive:
            alive[key].kept = True
        elif line.event == "intend":
            alive[key] = Made(line.kind, line.name, line.namespace, line.parent)
    order = list(ObjectKind)
    return sorted(alive.values(), key=lambda made: order.index(made.kind))


def _lines(path: Path) -> Iterator[_Line]:
    if not path.exists():
        return
    with path.open("rb") as file:
        for raw in file:
            try:
                yield _line_decoder.decode(raw)
            except msgspec.DecodeError:
                continue
