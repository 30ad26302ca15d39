"""Files that grow by whole lines while a test runs."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Record = TypeVar("Record")


class LineFile:
    """Append-only; each line is written whole by one system call, so any thread may write.

    A written line has reached the kernel, so it survives the death of this process.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._torn = False

    def append(self, line: bytes) -> None:
        """Write a line. Raises `OSError` where the disk cannot hold all of it; readers skip a partial line."""
        content = b"\n" * self._torn + line + b"\n"
        written = os.write(self._file, content)
        self._torn = written < len(content)
        if self._torn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        """Close the file. Calling it again does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def read_lines(path: Path, decoder: msgspec.json.Decoder[Record]) -> Iterator[Record]:
    """Read the records of a file, a line each. One that cannot be decoded is skipped; no file is an empty one."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        for line in file:
            with contextlib.suppress(msgspec.DecodeError, msgspec.ValidationError):
                yield decoder.decode(line)
