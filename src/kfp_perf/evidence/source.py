"""A source of evidence, and where it puts what it finds."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from kfp_perf.result.append_file import LineFile
from kfp_perf.result.evidence import SOURCES_FILE, SourceState
from kfp_perf.result.whole_file import indented_json, write_whole

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from kfp_perf.config import TestConfig

#: How much a source may write at once, whatever the time since its start.
_FIRST_BYTES = 2**18
_SAVE_EVERY_SECONDS = 1.0
_MOST_FAILURES = 5


@dataclass(frozen=True, slots=True)
class SourceFinding:
    """Whether a source is there: `found` is where, or else `missing` is why not, and `remedy` what to do."""

    found: str = ""
    missing: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """One source of evidence.

    `title` is what it is in words, and `name` a short one. `parts` are those that the settings ask for, each
    of which is found or missing on its own: pairs of name and title, none where the settings ask for nothing.
    `look` looks for one part, and takes a few seconds at most. `collect` looks for all parts and collects from them
    until `stop` is set; then it takes a last look, within two seconds. Neither raises for a source that fails:
    what goes wrong is a `SourceFinding`, or goes to the sink. `bytes_an_hour` bounds what it writes.
    """

    name: str
    title: str
    parts: Callable[[TestConfig], Sequence[tuple[str, str]]]
    look: Callable[[TestConfig, str], Awaitable[SourceFinding]]
    collect: Callable[[TestConfig, Sink, asyncio.Event], Awaitable[None]]
    bytes_an_hour: int


class Notice(msgspec.Struct, frozen=True, omit_defaults=True):
    """News of one part of a source: a line on the collector's standard output.

    `state` is set where it has changed, `failed` where a look failed for the first time, or for another reason than
    before, and `live` is a few words for the displays.
    """

    part: str
    state: SourceState | None = None
    failed: str = ""
    live: str = ""


class Sink:
    """Where a source puts what it finds: lines of files in `folder`, and the state of its parts.

    `notify` is called with each `Notice`. A file that cannot be written is named once, as a failure.
    """

    def __init__(
        self,
        folder: Path,
        parts: Sequence[tuple[str, str]],
        bytes_an_hour: int,
        now: Callable[[], float],
        notify: Callable[[Notice], None],
    ) -> None:
        self.folder = folder
        self.now = now
        self._states = {name: SourceState(name=name, title=title) for name, title in parts}
        self._notify = notify
        self._bytes_an_hour = bytes_an_hour
        self._began = now()
        self._written = 0
        self._reported: Counter[str] = Counter()
        self._files: dict[str, LineFile] = {}

    @property
    def states(self) -> list[SourceState]:
        """What is known of each part."""
        return list(self._states.values())

    def found(self, part: str, what: str) -> None:
        """Record that a part is there, and where."""
        self._set(part, SourceFinding(found=what))

    def missing(self, part: str, why: str, remedy: str = "") -> None:
        """Record why a part is not there; one that was found before stays found, and has failed."""
        if self._states[part].found:
            self.failed(part, why)
        else:
            self._set(part, SourceFinding(missing=why, remedy=remedy))

    def _set(self, part: str, finding: SourceFinding) -> None:
        state = self._states[part]
        known = msgspec.structs.replace(
            state, found=finding.found, missing=finding.missing, remedy=finding.remedy
        )
        if known != state:
            self._states[part] = known
            if known.found or self._may_report(part):
                self._notify(Notice(part, state=known))

    def failed(self, part: str, why: str) -> None:
        """Count a look that failed; a reason that differs from the one before is reported, a few times in all."""
        state = self._states[part]
        self._states[part] = msgspec.structs.replace(state, failures=state.failures + 1, last_failure=why)
        if why != state.last_failure and self._may_report(part):
            self._notify(Notice(part, failed=why))

    def _may_report(self, part: str) -> bool:
        """Whether failures of a part are still reported: an endpoint may have a new reason each time."""
        self._reported[part] += 1
        return self._reported[part] <= _MOST_FAILURES

    def live(self, part: str, text: str) -> None:
        """Give the displays a few words on the state of a part now."""
        self._notify(Notice(part, live=text))

    def append(self, part: str, file: str, record: msgspec.Struct) -> bool:
        """Write a line; False: it was left out, because the bound on what the source may write was reached."""
        line = msgspec.json.encode(record)
        allowed = _FIRST_BYTES + self._bytes_an_hour * (self.now() - self._began) / 3600.0
        if self._written + len(line) > allowed:
            state = self._states[part]
            self._states[part] = msgspec.structs.replace(state, left_out=state.left_out + 1)
            return False
        try:
            if file not in self._files:
                self._files[file] = LineFile(self.folder / file)
            self._files[file].append(line)
        except OSError as error:
            self.failed(part, f"{file} cannot be written: {error.strerror}")
            return False
        self._written += len(line) + 1
        return True

    def close(self) -> None:
        """Close the files. Calling it again does nothing."""
        for file in self._files.values():
            file.close()


class States:
    """Keeps `sources.json` up to date: written whenever it has changed, once a second at most."""

    def __init__(self, folder: Path, sinks: Sequence[Sink]) -> None:
        self._path = folder / SOURCES_FILE
        self._sinks = sinks
        self._saved: list[SourceState] | None = None
        self._next = 0.0

    def save(self, *, at_once: bool = False) -> None:
        """Write the file, if that is due. Where there is no space for it, the old one stays."""
        states = [state for sink in self._sinks for state in sink.states]
        now = time.monotonic()
        if states == self._saved or (now < self._next and not at_once):
            return
        self._next = now + _SAVE_EVERY_SECONDS
        with contextlib.suppress(OSError):
            write_whole(self._path, indented_json(states))
            self._saved = states
