"""The evidence of a test: what its collector found beside the load, in `evidence/` of the result folder."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, TypeVar

import msgspec

from kfp_perf.result.append_file import read_lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Record = TypeVar("Record")

EVIDENCE_FOLDER = "evidence"
SOURCES_FILE = "sources.json"


class SourceState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One source of evidence: what was found of it, or why it is missing; an entry of `sources.json`.

    `title` is the source in words. `found` is where it was found and `missing` why it was not, with `remedy`,
    what to do about it; both are empty until the source was looked for. `failures` counts the looks that
    failed, the last one for the reason `last_failure`. `left_out` counts the lines that the bound on the files'
    size kept out.
    """

    name: str
    title: str
    found: str = ""
    missing: str = ""
    remedy: str = ""
    failures: int = 0
    last_failure: str = ""
    left_out: int = 0


_sources_decoder = msgspec.json.Decoder(list[SourceState])


class EvidenceFiles:
    """The files in `evidence/`. A truncated line is skipped, and a missing file counts as empty."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def sources(self) -> list[SourceState]:
        """Read what was found; empty where no evidence was collected."""
        with contextlib.suppress(OSError, msgspec.DecodeError):
            return _sources_decoder.decode((self.folder / SOURCES_FILE).read_bytes())
        return []

    def names(self, suffix: str) -> list[str]:
        """Return the names of the files that end so, without that end, sorted."""
        with contextlib.suppress(OSError):
            found = (path.name for path in self.folder.iterdir())
            return sorted(name.removesuffix(suffix) for name in found if name.endswith(suffix))
        return []

    def read(self, name: str, decoder: msgspec.json.Decoder[Record]) -> Iterator[Record]:
        """Read the lines of one file, which are records of one kind, in the order in which they were written."""
        return read_lines(self.folder / name, decoder)
