"""Plain YAML scalars as KFP's API server reads them, by the rules of gopkg.in/yaml.v3 (resolve.go).

They are between YAML 1.1 and 1.2: `yes` and `on` are strings, `0777` and `0o777` are octal, `1_000` is a number,
`12:30:45` is a string, a number beyond the range of 64 bits is a float, and one beyond that of a float a string. A
date becomes the string that Go writes for it, since the server passes the document on as JSON.
"""

from __future__ import annotations

import functools
import math
import re
from datetime import datetime
from typing import Any

TAG = "tag:yaml.org,2002:"
NULL, BOOL, INT, FLOAT, STRING, TIMESTAMP, MERGE = (
    f"{TAG}{name}" for name in ("null", "bool", "int", "float", "str", "timestamp", "merge")
)

_WORDS: dict[str, tuple[str, Any]] = {
    **dict.fromkeys(("true", "True", "TRUE"), (BOOL, True)),
    **dict.fromkeys(("false", "False", "FALSE"), (BOOL, False)),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), (NULL, None)),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), (FLOAT, math.nan)),
    **{f"{sign}{word}": (FLOAT, math.inf) for sign in ("", "+") for word in (".inf", ".Inf", ".INF")},
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), (FLOAT, -math.inf)),
    "<<": (MERGE, "<<"),
}
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_DIGITS = {
    16: re.compile(r"[0-9a-f]+", re.ASCII),
    10: re.compile(r"[0-9]+", re.ASCII),
    8: re.compile(r"[0-7]+", re.ASCII),
    2: re.compile(r"[01]+", re.ASCII),
}
_MOST_DIGITS = 64
_BASES = {"0x": 16, "0o": 8, "0b": 2}
_TIME = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{1,2}-[0-9]{1,2})"
    r"(?:(?P<gap>[Tt ])(?P<time>[0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2})(?:\.(?P<fraction>[0-9]{1,9}))?"
    r"(?P<zone>Z|[-+][0-9]{2}:[0-9]{2})?)?",
    re.ASCII,
)


@functools.lru_cache(maxsize=4096)
def resolve(text: str) -> tuple[str, Any]:
    """Return the tag of a plain scalar, and its value."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] == ".":
        return _float(text) or (STRING, text)
    if text[0] not in "+-0123456789":
        return STRING, text
    if (moment := timestamp(text)) is not None:
        return TIMESTAMP, moment
    plain = text.replace("_", "")
    if (whole := integer(plain)) is not None:
        return INT, whole
    return _float(plain) or (STRING, text)


def integer(plain: str) -> int | None:
    """Parse a number without underscores, as Go's ParseInt and ParseUint of base 0 do."""
    sign, digits = (plain[0], plain[1:]) if plain[:1] in {"+", "-"} else ("", plain)
    base = _BASES.get(digits[:2].lower())
    if base is not None:
        digits = digits[2:].lower()
    elif len(digits) > 1 and digits[0] == "0":
        base, digits = 8, digits[1:]
    else:
        base = 10
    if not _DIGITS[base].fullmatch(digits) or len(digits.lstrip("0")) > _MOST_DIGITS:
        return None
    value = int(digits, base) * (-1 if sign == "-" else 1)
    # An unsigned number has no sign.
    highest = 2**63 if sign else 2**64
    return value if -(2**63) <= value < highest else None


def _float(plain: str) -> tuple[str, float] | None:
    if not _FLOAT.fullmatch(plain):
        return None
    value = float(plain)
    return (FLOAT, value) if math.isfinite(value) else None


def timestamp(text: str) -> str | None:
    """Return a date or time as Go writes it in JSON (RFC 3339); None for any other text."""
    match = _TIME.fullmatch(text)
    # Go has a form with a space and no zone, and one with a T and a zone.
    if match is None or (match["gap"] is not None and (match["gap"] == " ") != (match["zone"] is None)):
        return None
    zone = match["zone"] or "Z"
    try:
        moment = datetime.strptime(f"{match['date']} {match['time'] or '0:0:0'}", "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007
        if zone != "Z" and (int(zone[1:3]) > 24 or int(zone[4:]) > 60):
            return None
    except ValueError:
        return None
    fraction = (match["fraction"] or "").rstrip("0")
    shown = "Z" if zone[1:] == "00:00" else zone
    return f"{moment:%Y-%m-%dT%H:%M:%S}{f'.{fraction}' * bool(fraction)}{shown}"
