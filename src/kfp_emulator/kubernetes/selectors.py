"""Label and field selectors, as apimachinery parses them (pkg/labels and pkg/fields)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from kfp_emulator.kubernetes.failures import bad_request

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_KEY = re.compile(
    r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
)
_SET = re.compile(r"(?P<key>[^\s!=,()]+)\s+(?P<operator>in|notin)\s*\((?P<values>[^()]*)\)")
_EQUALITY = re.compile(r"(?P<key>[^\s!=,()]+)\s*(?P<operator>==|=|!=)\s*(?P<values>[^\s!=,()]*)")
_EXISTS = re.compile(r"(?P<operator>!?)\s*(?P<key>[^\s!=,()]+)(?P<values>)")


class Requirement(NamedTuple):
    """One condition: the value of `key` is one of `values`, or (where `wanted` is false) none of them.

    Without values the key has to be there, or not.
    """

    key: str
    values: frozenset[str]
    wanted: bool

    def met(self, found: Mapping[str, str]) -> bool:
        """Whether labels, or fields, fit."""
        value = found.get(self.key)
        if not self.values:
            return (value is not None) == self.wanted
        return (value in self.values) == self.wanted


Selector = tuple[Requirement, ...]


def matches(selector: Selector, found: Mapping[str, str]) -> bool:
    """Whether all conditions hold."""
    return all(requirement.met(found) for requirement in selector)


def parse_labels(text: str) -> Selector:
    """Read a label selector: `a=b, c!=d, e in (f, g), h notin (i), j, !k`.

    Raises:
        Refusal: 400, it is none.

    """
    requirements, rest = [], text.strip()
    while rest:
        found = _SET.match(rest) or _EQUALITY.match(rest) or _EXISTS.match(rest)
        if found is None or not _KEY.fullmatch(found["key"]):
            raise bad_request(f"unable to parse requirement: <nil>: Invalid value: {rest!r}")
        values, operator = found["values"], found["operator"]
        if operator in {"in", "notin"}:
            wanted = frozenset(value.strip() for value in values.split(","))
        else:
            wanted = frozenset({values} if operator in {"=", "==", "!="} else ())
        requirements.append(Requirement(found["key"], wanted, operator not in {"notin", "!=", "!"}))
        rest = rest[found.end() :].lstrip()
        if rest and (not rest.startswith(",") or not rest[1:].strip()):
            raise bad_request(
                f"unable to parse requirement: found '{rest}', expected: ',' or 'end of string'"
            )
        rest = rest[1:].lstrip()
    return tuple(requirements)


def parse_fields(text: str, supported: Iterable[str]) -> Selector:
    """Read a field selector: `status.phase!=Succeeded,metadata.name=x`.

    Raises:
        Refusal: 400, it is none, or asks for a field by which the resource cannot be selected.

    """
    requirements = []
    for term in filter(None, (each.strip() for each in text.split(","))):
        key, operator, value = _split(term)
        if not operator:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{term}'")
        if key not in supported:
            raise bad_request(f"field label not supported: {key}")
        requirements.append(Requirement(key, frozenset({value}), operator != "!="))
    return tuple(requirements)


def _split(term: str) -> tuple[str, str, str]:
    for operator in ("!=", "==", "="):
        key, found, value = term.partition(operator)
        if found:
            return key.strip(), operator, value.strip()
    return term, "", ""
