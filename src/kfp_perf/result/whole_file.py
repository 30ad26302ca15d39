"""Files that are written whole or not at all, and the form of JSON in them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pathlib import Path


def indented_json(document: object) -> bytes:
    """Encode a document as JSON for readers. Raises `TypeError` or `ValueError` for what JSON cannot hold."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, or replace it, at once: readers see all of the old content or all of the new.

    Raises `OSError`; the old file is then as it was.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
