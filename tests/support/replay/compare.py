"""Compares an emulated answer with a recorded one: fields, order-free content and texts, not ids and times."""

from __future__ import annotations

import base64
import json
import re
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from replay.trees import node_names, plain_tree

if TYPE_CHECKING:
    from replay.ids import Ids

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_NEVER = ("0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z")
_FRAME = re.compile(r"\n[^\n]+\n\t[^\n]+\.(?:go|s):\d+")
"""One frame of a Go stack trace, which KFP writes into some of its errors; frames are not compared.

Nor is the space after `proto:`, which Go's protobuf chooses by the build so that nobody relies on its texts.
"""
_ENTRIES = re.compile(r"<trimmed: (\d+) entries>")
_SHORTENED = re.compile(r"(.*)\.\.\.<(\d+) characters>", re.DOTALL)
_CUT = "...<trimmed>"
_TIME_COLUMNS = ("CreatedAtInSec", "FinishedAtInSec", "ScheduledAtInSec", "LastRunCreatedAtInSec")
UNORDERED = ("names",)
_SHOWN = 160


def differences(recorded: Any, emulated: Any, ids: Ids, path: str = "$") -> list[str]:
    """Return where the answers differ, and how; pairs of ids are learnt on the way."""
    key = path.rpartition(".")[2]
    if isinstance(recorded, str) and recorded.startswith("<trimmed"):
        return _trimmed(recorded, emulated, path)
    if key == "task_details" and isinstance(recorded, list) and isinstance(emulated, list):
        return _trees(recorded, emulated, ids, path)
    if key == "next_page_token" and isinstance(recorded, str) and isinstance(emulated, str):
        ids.learn(recorded, emulated)
        return differences(_token(recorded), _token(emulated), ids, path + ".token")
    if isinstance(recorded, dict) and isinstance(emulated, dict):
        return _objects(recorded, emulated, ids, path)
    if isinstance(recorded, list) and isinstance(emulated, list):
        if key in UNORDERED:
            recorded, emulated = sorted(recorded), sorted(emulated)
        return _lists(recorded, emulated, ids, path)
    if isinstance(recorded, str) and isinstance(emulated, str):
        if _same_text(recorded, emulated, ids):
            return []
        return [_difference(path, ids.translate(recorded), emulated)]
    same = type(recorded) is type(emulated) and recorded == emulated
    return [] if same else [_difference(path, recorded, emulated)]


def _objects(recorded: dict[str, Any], emulated: dict[str, Any], ids: Ids, path: str) -> list[str]:
    found = []
    if emulated.get("SortByFieldName") in _TIME_COLUMNS and recorded.get("SortByFieldValue"):
        recorded = recorded | {"SortByFieldValue": "time"}
        emulated = emulated | {"SortByFieldValue": "time" if emulated.get("SortByFieldValue") else "never"}
    for key in recorded.keys() | emulated.keys():
        if key not in emulated:
            found.append(_difference(f"{path}.{key}", recorded[key], None))
        elif key not in recorded:
            found.append(_difference(f"{path}.{key}", None, emulated[key]))
        else:
            found += differences(recorded[key], emulated[key], ids, f"{path}.{key}")
    return sorted(found)


def _lists(recorded: list[Any], emulated: list[Any], ids: Ids, path: str) -> list[str]:
    if path.endswith(".names"):
        missing, more = set(recorded) - set(emulated), set(emulated) - set(recorded)
        return [f"{path}: {name} is missing" for name in sorted(missing)] + [
            f"{path}: {name} is too much" for name in sorted(more)
        ]
    if len(recorded) != len(emulated):
        return [_difference(path, recorded, emulated)]
    found = []
    for number, (one, other) in enumerate(zip(recorded, emulated, strict=True)):
        found += differences(one, other, ids, f"{path}[{number}]")
    return found


def _trimmed(recorded: str, emulated: Any, path: str) -> list[str]:
    """Compare with what the recording left out: at most a number of entries is known."""
    entries = _ENTRIES.fullmatch(recorded)
    if entries is None:
        return [] if emulated else [_difference(path, recorded, emulated)]
    count = len(emulated) if isinstance(emulated, list) else 0
    return [] if count == int(entries[1]) else [_difference(path, recorded, f"{count} entries")]


def _trees(recorded: list[Any], emulated: list[Any], ids: Ids, path: str) -> list[str]:
    here, there = plain_tree(recorded), plain_tree(emulated)
    nodes = {name: node for node, name in node_names(emulated).items()}
    for node, name in node_names(recorded).items():
        if name in nodes:
            ids.learn(node, nodes[name])
    found = []
    for entry in sorted(set(here) | set(there)):
        missing = here.count(entry) - there.count(entry)
        if missing > 0:
            found.append(f"{path}: missing {entry}")
        elif missing < 0:
            found.append(f"{path}: too much {entry}")
    return found


def _same_text(recorded: str, emulated: str, ids: Ids) -> bool:
    if _TIME.fullmatch(recorded) and _TIME.fullmatch(emulated):
        return (recorded in _NEVER) == (emulated in _NEVER)
    if recorded.endswith(_CUT):  # the end is not known, nor is the stack trace within which it lies
        known = _plain_text(recorded.rpartition("\n\t")[0].rpartition("\n")[0])
        return _plain_text(emulated).startswith(ids.translate(known))
    shortened = _SHORTENED.fullmatch(recorded)
    if shortened:
        return emulated.startswith(shortened[1]) and len(emulated) == int(shortened[2])
    return ids.same(_plain_text(recorded), _plain_text(emulated))


def _plain_text(text: str) -> str:
    return _FRAME.sub("", text).replace("proto:\N{NO-BREAK SPACE}", "proto: ")


def _token(text: str) -> Any:
    try:
        return json.loads(base64.b64decode(text))
    except ValueError:
        return text


def _difference(path: str, recorded: Any, emulated: Any) -> str:
    start = 0
    if isinstance(recorded, str) and isinstance(emulated, str):  # begin shortly before the first difference
        pairs = zip(recorded, emulated, strict=False)
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        start = max(0, same - _SHOWN // 4)
        recorded, emulated = recorded[start:], emulated[start:]
    where = f" from character {start}" if start else ""
    return f"{path}{where}: recorded {_short(recorded)}, emulated {_short(emulated)}"


def _short(value: Any) -> str:
    if value is None:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


__all__ = ["differences"]
