"""The journal: what a test is about to create on the server, written before the request is sent.

After a crash, even a `kill -9`, it lists what may be left behind: an object whose creation was answered by its
id, one whose creation was cut off by its unique name.
"""

from __future__ import annotations

import contextlib
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from kfp_perf.errors import RunnerError
from kfp_perf.result.append_file import LineFile, read_lines

if TYPE_CHECKING:
    from pathlib import Path


class ObjectKind(StrEnum):
    """The kinds of objects that a test creates, in the order in which they are to be deleted."""

    RUN = "run"
    RECURRING_RUN = "recurring_run"
    EXPERIMENT = "experiment"
    PIPELINE = "pipeline"


class Made(msgspec.Struct, omit_defaults=True):
    """One object that a test created, or was about to create. `id` is empty where the server never returned it.

    `parent` is the id of the experiment that a run is in. `kept`: it stays on purpose.
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
    """The first line: the server that the journal is about."""

    target: str


_line_decoder = msgspec.json.Decoder(_Line)
_head_decoder = msgspec.json.Decoder(_Head)


class Journal:
    """One JSON line per event, written before the request is sent; any thread may write.

    A new journal starts with the URL of its `target`, the server that all objects are on. If an intention cannot
    be written, nothing is created. The later lines are not needed to find an object, so a failure to write them
    is ignored.
    """

    def __init__(self, path: Path, target: str = "") -> None:
        self.path = path
        self._lines = LineFile(path)
        if target:
            self._write(_Head(target))

    def intend(self, kind: ObjectKind, name: str, *, namespace: str = "", parent: str = "") -> None:
        """Record that an object of this unique name is to be created. Raises `RunnerError` if that fails."""
        try:
            self._lines.append(
                msgspec.json.encode(_Line(kind=kind, name=name, namespace=namespace, parent=parent))
            )
        except OSError as error:
            text = f"{self.path} cannot be written ({error.strerror}), so nothing more is made on the server"
            raise RunnerError(text) from error

    def made(self, kind: ObjectKind, name: str, id: str) -> None:  # noqa: A002  the field's name in KFP
        """Record the id that the object got."""
        self._write(_Line(event="made", kind=kind, name=name, id=id))

    def gone(self, kind: ObjectKind, name: str) -> None:
        """Record that the object is deleted, or that the server refused to create it."""
        self._write(_Line(event="gone", kind=kind, name=name))

    def keep(self, kind: ObjectKind, name: str) -> None:
        """Record that the object stays when the test cleans up, so that it can be examined."""
        self._write(_Line(event="keep", kind=kind, name=name))

    def close(self) -> None:
        """Close the file. Calling it again does nothing."""
        self._lines.close()

    def _write(self, line: _Line | _Head) -> None:
        with contextlib.suppress(OSError):
            self._lines.append(msgspec.json.encode(line))


def target_of(path: Path) -> str:
    """Read the URL of the server that a journal is about; empty where an older version did not write it."""
    with path.open("rb") as file, contextlib.suppress(msgspec.DecodeError):
        return _head_decoder.decode(file.readline()).target
    return ""


def left_behind(path: Path) -> list[Made]:
    """Read what may still be on the server according to a journal, in the order in which it is to be deleted.

    A truncated last line is skipped: its request had not been sent.
    """
    alive: dict[tuple[ObjectKind, str], Made] = {}
    for line in read_lines(path, _line_decoder):
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
