from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from kfp_perf.result.append_file import LineFile

if TYPE_CHECKING:
    from pathlib import Path


def test_lines_are_appended(tmp_path: Path) -> None:
    for line in (b"one", b"two"):
        file = LineFile(tmp_path / "x")
        file.append(line)
        file.close()
        file.close()
    assert (tmp_path / "x").read_bytes() == b"one\ntwo\n"


def test_a_line_that_had_no_room_is_said_and_spoils_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = LineFile(tmp_path / "x")
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda number, content: write(number, content[: len(content) // 2]))
        with pytest.raises(OSError, match="No space left"):
            file.append(b"one that is cut")
    file.append(b"next")
    file.close()
    assert (tmp_path / "x").read_bytes().split(b"\n")[-2:] == [b"next", b""]
