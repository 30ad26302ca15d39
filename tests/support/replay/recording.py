"""A recording: the exchanges with one KFP API server, in their order."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer; or, with a `note` and no method, something that the recorder saw.

    `t_seconds` is counted from the last change of a run (its creation, termination or retry), `took_seconds` from
    the request to its answer. `headers` is None where the answer's headers were not recorded.
    """

    number: int
    method: str
    path: str
    request: Any
    headers_sent: Mapping[str, str]
    status: int
    headers: Mapping[str, str] | None
    body: Any
    t_seconds: float | None
    note: str
    took_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Recording:
    """A named list of exchanges."""

    name: str
    exchanges: tuple[Exchange, ...]


def read_recordings(folder: Path) -> list[Recording]:
    """Return the recordings of a folder, in the order of their names."""
    return [_read(path) for path in sorted(folder.glob("*.json"))]


def _read(path: Path) -> Recording:
    entries = json.loads(path.read_text("utf-8"))
    return Recording(path.stem, tuple(_exchange(number, entry) for number, entry in enumerate(entries)))


def _exchange(number: int, entry: dict[str, Any]) -> Exchange:
    return Exchange(
        number=number,
        method=entry.get("method", ""),
        path=entry.get("path", ""),
        request=entry.get("request"),
        headers_sent=entry.get("headers_sent", {}),
        status=entry.get("status", 0),
        headers=entry.get("headers"),
        body=entry.get("body"),
        t_seconds=entry.get("t_seconds"),
        note=entry.get("note", ""),
        took_seconds=entry.get("ms", 0.0) / 1000,
    )
