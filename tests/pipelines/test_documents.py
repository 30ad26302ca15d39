from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from kfp_perf.errors import InputError
from kfp_perf.pipelines.documents import MAX_DEPTH, dump_yaml, parse_yaml, read_bytes

if TYPE_CHECKING:
    from pathlib import Path

BILLION_LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 12)
)


def refused(data: bytes) -> str:
    with pytest.raises(InputError) as caught:
        parse_yaml(data, "p.yaml")
    return str(caught.value)


def test_documents_are_read() -> None:
    assert parse_yaml(b"\xef\xbb\xbfa: 1\n---\nb: [2]\n", "p.yaml") == [{"a": 1}, {"b": [2]}]


def test_modest_aliases_are_read() -> None:
    assert parse_yaml(b"a: &x [1]\nb: *x\n", "p.yaml") == [{"a": [1], "b": [1]}]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\xe9", "is not UTF-8 (byte 0)"),
        (b"a: [", "line 2, column 1: is not YAML"),
        (b"a:\n\tb: 1", "line 2, column 1: is not YAML: it has a tab where only spaces can be"),
        (b"%", "is not YAML"),
        (b"a: !!python/object/apply:os.system [true]", "could not determine a constructor"),
        (b"a: 1\nb: \x00", "line 2: is not YAML: it has the control character 0x00"),
        (b"a: *nowhere", "has an alias *nowhere to nothing before it"),
        (b"a: &a [*a]", "has an alias *a to nothing before it"),
        (BILLION_LAUGHS.encode(), "grows beyond bounds when its aliases are expanded"),
        (b"[" * 100_000, f"is nested more than {MAX_DEPTH} levels deep"),
        (b"{" * 100_000, f"is nested more than {MAX_DEPTH} levels deep"),
        (b"- " * 100_000, f"is nested more than {MAX_DEPTH} levels deep"),
    ],
)
def test_what_is_no_yaml_or_out_of_bounds_is_refused(data: bytes, what: str) -> None:
    assert what in refused(data)


def test_a_bomb_over_several_documents_is_refused() -> None:
    wide = ("a: &a [" + ", ".join(["x"] * 900) + "]\nb: &b [" + ", ".join(["*a"] * 900) + "]\n").encode()
    assert "grows beyond bounds" in refused(b"---\n".join([wide] * 7))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_bytes(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="is a folder"):
        read_bytes(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="not a regular file"):
        read_bytes(tmp_path / "pipe")
    big = tmp_path / "big.yaml"
    with big.open("wb") as file:
        file.truncate(33 * 1024 * 1024)
    with pytest.raises(InputError, match="larger than 32 MiB"):
        read_bytes(big)


def test_what_is_written_can_be_read_again() -> None:
    documents = [{"b": "naïve: *x", "a": [1.5, None, True, "1"]}, {"c": {}}]
    assert parse_yaml(dump_yaml(documents), "p.yaml") == documents
