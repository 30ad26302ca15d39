"""Strict reading of JSON documents: what the standard library accepts silently is an error here."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from kfp_perf.errors import InputError, Position, Problem

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 64


class _Object(dict[str, Any]):
    """A JSON object, with the keys that it was given twice."""

    __slots__ = ("repeated",)

    repeated: list[str]


def _build_object(pairs: list[tuple[str, Any]]) -> _Object:
    built = _Object(pairs)
    built.repeated = []
    if len(built) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen and key not in built.repeated:
                built.repeated.append(key)
            seen.add(key)
    return built


def read_text(path: Path, kind: str) -> str:
    """Return the text of a UTF-8 file (a byte order mark is dropped); `kind` is what it should be.

    Raises InputError where it cannot be read.
    """
    try:
        if path.is_dir():
            raise InputError(Problem(str(path), "is a folder", f"give a {kind}"))
        if path.exists() and not path.is_file():
            raise InputError(Problem(str(path), "is not a regular file", f"give a {kind}"))
        if path.stat().st_size > MAX_BYTES:
            raise InputError(Problem(str(path), f"is larger than {MAX_BYTES // 2**20} MiB", f"give a {kind}"))
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(Problem(str(path), "does not exist", f"give a {kind}")) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(Problem(str(path), f"cannot be read: {reason}", f"give a {kind}")) from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            Problem(str(path), f"is not UTF-8 (byte {error.start})", "save it as UTF-8")
        ) from None


def parse_json(text: str, label: str) -> tuple[Any, list[Problem]]:
    """Return the value of a JSON text, and problems that Python's parser accepts and JSON does not.

    Raises InputError where there is no value at all. `label` names the text in messages.
    """
    if not text.strip():
        raise InputError(
            Problem(
                label,
                "is empty",
                "write a list of scenarios, or run a built-in file: `kfp-perf run smoke.json`",
            )
        )
    try:
        value = json.loads(text, object_pairs_hook=_build_object)
    except json.JSONDecodeError as error:
        what, remedy = f"is not JSON: {error.msg}", _json_remedy(text, error)
        raise InputError(Problem(label, what, remedy, Position(error.lineno, error.colno))) from None
    except RecursionError:
        raise InputError(Problem(label, "is nested too deeply", f"use at most {MAX_DEPTH} levels")) from None
    except ValueError as error:  # a number of thousands of digits
        raise InputError(
            Problem(label, f"is not JSON that can be read: {error}", "shorten the number")
        ) from None
    return value, _walk(value, label)


def _json_remedy(text: str, error: json.JSONDecodeError) -> str:
    if re.search(r"^pipelineInfo:", text, re.MULTILINE):
        return "this is a compiled pipeline: name it as pipelineFileName in a scenario file"
    if re.match(r"(?:\s*#.*\n)*\s*(?:---|-\s|[A-Za-z]+:(?:\s|$))", text):
        return 'this looks like YAML, and scenario files are JSON: write [{"mode": "PIPELINE_RUN", ...}]'
    before = text[: error.pos].rstrip()
    here = text[error.pos : error.pos + 1]
    if before.endswith(",") and here in {"]", "}"}:
        return "remove the comma before it"
    if here == "'":
        return 'texts stand in double quotes (")'
    if here in {"/", "#"}:
        return "JSON has no comments: remove it"
    return "check commas, quotes and brackets there"


def _walk(root: Any, label: str) -> list[Problem]:
    """Find repeated keys, invalid numbers and texts, and nesting that is too deep, without recursion."""
    problems: list[Problem] = []
    pending: list[tuple[str, int, Any]] = [("$", 0, root)]
    while pending:
        path, depth, value = pending.pop()
        if depth > MAX_DEPTH:
            raise InputError(Problem(label, "is nested too deeply", f"use at most {MAX_DEPTH} levels"))
        if isinstance(value, float) and not math.isfinite(value):
            problems.append(
                Problem(f"{label}: {path}", "must be a finite number", "JSON has no NaN or infinity")
            )
        elif isinstance(value, str) and not _is_text(value):
            problems.append(Problem(f"{label}: {path}", *_HALF))
        elif isinstance(value, _Object):
            problems += [
                Problem(f"{label}: {step(path, key)}", "is given twice", "keep one of them")
                for key in value.repeated
            ]
            problems += [Problem(f"{label}: {step(path, key)}", *_HALF) for key in value if not _is_text(key)]
            pending += [(step(path, key), depth + 1, item) for key, item in value.items()]
        elif isinstance(value, list):
            pending += [(step(path, index), depth + 1, item) for index, item in enumerate(value)]
    return problems


_HALF = ("holds half a character (a lone surrogate)", "write the character itself")


def _is_text(value: str) -> bool:
    """Whether a text can be written as UTF-8; JSON can escape halves of characters."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def step(path: str, part: str | int) -> str:
    """Return the path of a member (`$.name`, `$["a b"]`) or of an item (`$[2]`) of what `path` leads to."""
    if isinstance(part, int):
        return f"{path}[{part}]"
    if re.fullmatch(r"[A-Za-z0-9_$]{1,60}", part):
        return f"{path}.{part}"
    return f"{path}[{json.dumps(part if len(part) <= 60 else part[:57] + '...')}]"
