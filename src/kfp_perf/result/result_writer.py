"""The result folder of a test: made before its first request, filled while it runs."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from kfp_perf.errors import InputError, Problem
from kfp_perf.result.files import (
    GIVEN_FILE,
    HEALTH_FILE,
    RESULT_FILE,
    SCENARIOS_FOLDER,
    SCHEMA_VERSION,
    safe_name,
)
from kfp_perf.result.whole_file import indented_json, write_whole

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)


class ResultWriter:
    """Creates a result folder, and writes the files of the test as a whole.

    `given.json` holds the test's input, `health.json` the findings of the health checks so far, and `result.json`
    everything once it is over. Each scenario writes into its own folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._given: dict[str, Any] = {}

    @classmethod
    def create(cls, parent: Path, name: str, now: float) -> Self:
        """Make the folder of a test in `parent` (see `new_folder`). Raises `InputError`."""
        return cls.create_at(new_folder(parent, name, now))

    @classmethod
    def create_at(cls, path: Path) -> Self:
        """Fill an empty folder, which is made if it is not there. Raises `InputError`."""
        try:
            (path / SCENARIOS_FOLDER).mkdir(parents=True)
        except OSError as error:
            raise _unwritable(path, error) from error
        return cls(path)

    def scenario_folder(self, name: str) -> Path:
        """Return the folder of a scenario, whose name is unique in the test."""
        return self.path / SCENARIOS_FOLDER / safe_name(name)

    def save_given(self, document: dict[str, Any]) -> None:
        """Write `given.json`. Raises `InputError`."""
        self._given = self._save(GIVEN_FILE, {"schema_version": SCHEMA_VERSION, **document})

    def given_again(self) -> dict[str, Any] | None:
        """Write `given.json` once more where it is gone, as after the removal of the folder, and return it."""
        if not self._given or (self.path / GIVEN_FILE).exists():
            return None
        log.error("%s was removed during the test: what was written before is lost", self.path)
        with contextlib.suppress(InputError, OSError):
            self.path.mkdir(parents=True, exist_ok=True)
            self._save(GIVEN_FILE, self._given, rescue=False)
        again: dict[str, Any] = as_json(self._given)
        return again

    def save_health(self, document: dict[str, Any]) -> None:
        """Write `health.json`, where there is space for it."""
        with contextlib.suppress(InputError):
            self._save(HEALTH_FILE, document, rescue=False)

    def save(self, document: dict[str, Any]) -> dict[str, Any]:
        """Write `result.json` atomically, and return the document as written: what JSON cannot hold as text.

        Raises `InputError` where the folder can no longer be written; the document is then in the system's
        temporary folder, at the path that the error names.
        """
        return self._save(RESULT_FILE, {"schema_version": SCHEMA_VERSION, **document})

    def save_meanwhile(self, document: dict[str, Any]) -> None:
        """Write a `result.json` that another one will replace, where there is space for it."""
        with contextlib.suppress(InputError):
            self._save(RESULT_FILE, {"schema_version": SCHEMA_VERSION, **document}, rescue=False)

    def _save(self, name: str, document: dict[str, Any], *, rescue: bool = True) -> dict[str, Any]:
        try:
            content = indented_json(document)
        except (TypeError, ValueError):
            document = as_json(document)
            content = indented_json(document)
        write_document(self.path / name, content, rescue=rescue)
        return document


def new_folder(parent: Path, name: str, now: float) -> Path:
    """Make a new folder `<UTC time>-<name>` in `parent`, point the link `latest` to it, and return its path.

    Raises `InputError` where it cannot be written.
    """
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    slug = safe_name(name)
    for attempt in range(100):
        path = parent / (f"{stamp}-{slug}" if attempt == 0 else f"{stamp}-{slug}-{attempt + 1}")
        try:
            path.mkdir(parents=True)
            _point(parent / "latest", path)
        except FileExistsError:
            if path.is_dir():
                continue
            problem = Problem(str(parent), "is not a folder", "Name another one with --results.")
            raise InputError(problem) from None
        except OSError as error:
            raise _unwritable(path, error) from error
        return path
    raise InputError(Problem(str(parent), f"holds 100 results of {stamp} already", "Wait a second."))


def _unwritable(path: Path, error: OSError) -> InputError:
    remedy = "Name a folder that can be written with --results."
    return InputError(Problem(str(path), f"cannot be written: {error.strerror}", remedy))


def write_document(file: Path, content: bytes, *, rescue: bool = False) -> None:
    """Write a document, whole or not at all.

    Raises `InputError`; with `rescue` the document is then in the system's temporary folder.
    """
    try:
        write_whole(file, content)
    except OSError as error:
        remedy = _rescued(content) if rescue else ""
        raise InputError(Problem(str(file), f"cannot be written: {error.strerror}", remedy)) from error


def as_json(value: Any) -> Any:
    """Return a value as JSON can hold it: other kinds as text, and text without lone surrogates."""
    if isinstance(value, dict):
        return {as_json(str(key)): as_json(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(one) for one in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value).encode(errors="replace").decode()


def _rescued(content: bytes) -> str:
    """Write `result.json` to the system's temporary folder, and return its path in words."""
    try:
        with tempfile.NamedTemporaryFile(prefix="kfp-perf-", suffix=f"-{RESULT_FILE}", delete=False) as file:
            file.write(content)
    except OSError:
        return (
            "There is no space for it elsewhere either. `kfp-perf report` computes it from the other files."
        )
    return f"It is in {file.name}. Move it there when there is space."


def _point(link: Path, target: Path) -> None:
    """Point the link to the newest result. A file or folder of the user's in its place is left alone."""
    if link.is_dir() and not link.is_symlink():
        return
    temporary = link.with_name(f".latest-{os.getpid()}")
    with contextlib.suppress(OSError):
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(target.name)
        temporary.replace(link)
    with contextlib.suppress(OSError):
        temporary.unlink(missing_ok=True)
