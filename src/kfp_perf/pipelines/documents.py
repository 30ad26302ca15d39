"""Reading untrusted YAML: size, depth and expansion are bounded before anything is built from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from kfp_perf.errors import InputError, Problem
from kfp_perf.pipelines.yaml_v3 import Dumper, Loader

if TYPE_CHECKING:
    from pathlib import Path


MAX_BYTES = 32 * 1024 * 1024
"""The largest pipeline that the API server takes (KFP 2.17)."""

MAX_DEPTH = 200
MAX_NODES = 5_000_000
"""The most nodes that a document may have once its aliases are expanded."""


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a pipeline file. Raises InputError for what keeps it from being read."""
    try:
        if path.is_dir():
            raise InputError(Problem(str(path), "is a folder", "name the compiled pipeline in it"))
        if not path.is_file():
            what = "is not a regular file" if path.exists() else "does not exist"
            raise InputError(Problem(str(path), what, "name a compiled pipeline (YAML)"))
        if path.stat().st_size > MAX_BYTES:
            what = f"is larger than {MAX_BYTES // 2**20} MiB"
            raise InputError(Problem(str(path), what, "the API server refuses it: make the pipeline smaller"))
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            Problem(str(path), f"cannot be read: {error.strerror}", "check its permissions")
        ) from None


def parse_yaml(data: bytes, label: str) -> list[Any]:
    """Return the documents of a YAML text. Raises InputError where it is none, or is out of bounds."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            Problem(label, f"is not UTF-8 (byte {error.start})", "compile the pipeline again")
        ) from None
    if not text.strip():
        raise InputError(Problem(label, "is empty", "compile the pipeline again"))
    try:
        growth = _Growth(label)
        for event in yaml.parse(text, Loader=Loader):
            growth.add(event)
        return list(yaml.load_all(text, Loader=Loader))
    except yaml.YAMLError as error:
        if "nesting depth" in str(error):  # newer parsers look ahead, and have a bound of their own
            raise _too_deep(label) from None
        raise InputError(_fault(error, text, label)) from None
    except (RecursionError, ValueError) as error:
        raise InputError(
            Problem(label, f"cannot be read as YAML: {error}", "compile the pipeline again")
        ) from None


def _fault(error: yaml.YAMLError, text: str, label: str) -> Problem:
    """Describe what a parser says of a text: where it is, what is wrong, and what to do."""
    mark = getattr(error, "problem_mark", None)
    if isinstance(error, yaml.reader.ReaderError):
        what = f"is not YAML: it has the control character {error.character:#04x}"
        line = text.count("\n", 0, error.position) + 1
        return Problem(f"{label}: line {line}", what, "compile the pipeline again")
    where = f"{label}: line {mark.line + 1}, column {mark.column + 1}" if mark else label
    if mark and text[mark.index : mark.index + 1] == "\t":
        return Problem(where, "is not YAML: it has a tab where only spaces can be", "indent it with spaces")
    what = getattr(error, "problem", None) or str(error).splitlines()[0]
    kind = "" if isinstance(error, yaml.constructor.ConstructorError) else "is not YAML: "
    return Problem(where, f"{kind}{what}", "compile the pipeline again")


def _too_deep(label: str) -> InputError:
    return InputError(Problem(label, f"is nested more than {MAX_DEPTH} levels deep", _NO_BOMB))


class _Growth:
    """Counts the nodes of expanded documents from their events alone: nothing is built, nothing recurses.

    A stack holds the anchor and the expanded size of each open collection; an alias counts as its anchor's whole
    size.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._sizes: dict[str, int] = {}
        self._open: list[tuple[str | None, int]] = [(None, 0)]

    def add(self, event: Any) -> None:
        """Count the next event. Raises InputError beyond the bounds."""
        if isinstance(event, yaml.ScalarEvent):
            self._count(event.anchor, 1)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._sizes:
                raise InputError(
                    Problem(self._label, f"has an alias *{event.anchor} to nothing before it", _NO_BOMB)
                )
            self._count(None, self._sizes[event.anchor])
        elif isinstance(event, yaml.CollectionStartEvent):
            self._open.append((event.anchor, 1))
            if len(self._open) > MAX_DEPTH:
                raise _too_deep(self._label)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._count(*self._open.pop())
        elif isinstance(event, yaml.DocumentStartEvent):
            self._sizes.clear()

    def _count(self, anchor: str | None, size: int) -> None:
        if anchor is not None:
            self._sizes[anchor] = size
        outer, outer_size = self._open[-1]
        self._open[-1] = (outer, outer_size + size)
        if outer_size + size > MAX_NODES:
            raise InputError(
                Problem(self._label, "grows beyond bounds when its aliases are expanded", _NO_BOMB)
            )


_NO_BOMB = "this is not what the compiler writes: compile the pipeline again"


def dump_yaml(documents: list[Any]) -> bytes:
    """Return documents as YAML; keys keep their order."""
    text: str = yaml.dump_all(documents, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=110)
    return text.encode()
