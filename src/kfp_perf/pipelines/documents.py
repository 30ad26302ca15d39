"""Reading YAML that nobody vouches for: bounded in size, depth and expansion before anything is built from it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from kfp_perf.errors import InputError, Problem

if TYPE_CHECKING:
    from pathlib import Path


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Plain scalars as the API server reads them (yaml.v3 of Go): 1e-5 is a number, yes and on are texts."""


class Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Quotes what a reader of YAML 1.1 or of 1.2 could take for something else than a text."""


_BOOL, _FLOAT, _INT = (f"tag:yaml.org,2002:{name}" for name in ("bool", "float", "int"))
_EXPONENT = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)[eE][-+]?[0-9]+\Z", re.ASCII)
_OCTAL = re.compile(r"[-+]?0o[0-7]+\Z", re.ASCII)
Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOL]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver(_BOOL, re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), list("tTfF"))
for _each in (Loader, Dumper):
    _each.add_implicit_resolver(_FLOAT, _EXPONENT, list("-+.0123456789"))
    _each.add_implicit_resolver(_INT, _OCTAL, list("-+0"))

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
            raise InputError(Problem(str(path), what, "the API server would not take it"))
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
            growth.see(event)
        return list(yaml.load_all(text, Loader=Loader))
    except yaml.YAMLError as error:
        if "nesting depth" in str(error):  # newer parsers look ahead, and have a bound of their own
            raise _too_deep(label) from None
        mark = getattr(error, "problem_mark", None)
        where = f"{label}: line {mark.line + 1}, column {mark.column + 1}" if mark else label
        what = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InputError(Problem(where, f"is not YAML: {what}", "compile the pipeline again")) from None
    except (RecursionError, ValueError) as error:
        raise InputError(
            Problem(label, f"cannot be read as YAML: {error}", "compile the pipeline again")
        ) from None


def _too_deep(label: str) -> InputError:
    return InputError(Problem(label, f"is nested more than {MAX_DEPTH} levels deep", _NO_BOMB))


class _Growth:
    """Counts what documents would grow to, from their events alone: nothing is built or recursed into.

    A stack holds the anchor and the expanded size of each open collection; an alias counts as its anchor's whole
    size.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._sizes: dict[str, int] = {}
        self._open: list[tuple[str | None, int]] = [(None, 0)]

    def see(self, event: Any) -> None:
        """Take the next event. Raises InputError beyond the bounds."""
        if isinstance(event, yaml.ScalarEvent):
            self._add(event.anchor, 1)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._sizes:
                raise InputError(
                    Problem(self._label, f"has an alias *{event.anchor} to nothing before it", _NO_BOMB)
                )
            self._add(None, self._sizes[event.anchor])
        elif isinstance(event, yaml.CollectionStartEvent):
            self._open.append((event.anchor, 1))
            if len(self._open) > MAX_DEPTH:
                raise _too_deep(self._label)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._add(*self._open.pop())
        elif isinstance(event, yaml.DocumentStartEvent):
            self._sizes.clear()

    def _add(self, anchor: str | None, size: int) -> None:
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
    """Return documents as YAML, as the compiler lays it out."""
    text: str = yaml.dump_all(documents, Dumper=Dumper, sort_keys=True, allow_unicode=True, width=110)
    return text.encode()
