"""Reading and writing YAML with the meaning that it has for KFP's API server, which reads it with Go's yaml.v3.

Scalars follow `scalars`; a duplicate key is an error, and so is a key that is not a string, which the server could
not convert to JSON. Strings are written in quotes wherever a reader of YAML 1.1, 1.2 or yaml.v3 could read them as
another type.
"""

from __future__ import annotations

import base64
import binascii
import math
from typing import Any

import yaml
from yaml.constructor import ConstructorError

from kfp_perf.pipelines import scalars


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Builds the values that the API server sees."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        """Return the tag of a node that has none; a quoted scalar is a string."""
        if kind is yaml.ScalarNode:
            return scalars.resolve(value)[0] if implicit[0] else scalars.STRING
        tag: str = super().resolve(kind, value, implicit)
        return tag

    def construct_document(self, node: Any) -> Any:
        """Build one document."""
        self._checked: dict[int, yaml.MappingNode] = {}
        return super().construct_document(node)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Resolve merge keys (`<<`), after the keys as written have been checked."""
        if id(node) not in self._checked:
            # A merge adds keys that the mapping's own may repeat, so a mapping is checked before, and once.
            self._checked[id(node)] = node
            _check_keys(node)
        super().flatten_mapping(node)


class Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Quotes every string that some reader of YAML could take for another value."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        """Return the tag that a plain scalar would be read with."""
        if kind is yaml.ScalarNode and implicit[0]:
            tag = scalars.resolve(value)[0]
            if tag not in {scalars.STRING, scalars.MERGE}:
                return tag
        inherited: str = super().resolve(kind, value, implicit)
        return inherited


def _check_keys(node: yaml.MappingNode) -> None:
    """Raise for keys that yaml.v3, or the JSON after it, does not allow."""
    seen: dict[str, yaml.Node] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag not in {scalars.STRING, scalars.MERGE}:
            shown = f" {key.value}" if isinstance(key, yaml.ScalarNode) else ""
            raise ConstructorError(None, None, f"the key{shown} is not a string: quote it", key.start_mark)
        if key.value in seen:
            line = seen[key.value].start_mark.line + 1
            what = f'the key "{key.value}" is given twice (first on line {line})'
            raise ConstructorError(None, None, what, key.start_mark)
        seen[key.value] = key


def _number(loader: Loader, node: yaml.ScalarNode) -> Any:
    tag, value = scalars.resolve(node.value)
    if tag == scalars.INT and node.tag == scalars.FLOAT:
        return float(value)
    if tag != node.tag:
        raise ConstructorError(None, None, f"cannot decode {node.value!r} as {node.tag}", node.start_mark)
    if tag == scalars.FLOAT and not math.isfinite(value):
        what = f"{node.value} is not a finite number, and JSON has no other"
        raise ConstructorError(None, None, what, node.start_mark)
    return value


def _binary(loader: Loader, node: yaml.ScalarNode) -> str:
    try:
        return base64.b64decode("".join(node.value.split()), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise ConstructorError(None, None, "has invalid base64 in !!binary", node.start_mark) from None


for _tag in (scalars.NULL, scalars.BOOL, scalars.INT, scalars.FLOAT, scalars.TIMESTAMP):
    Loader.add_constructor(_tag, _number)
Loader.add_constructor(scalars.MERGE, lambda loader, node: node.value)
Loader.add_constructor(f"{scalars.TAG}binary", _binary)
