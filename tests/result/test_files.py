from __future__ import annotations

import pytest

from kfp_perf.result.files import safe_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("nightly", "nightly"),
        ("a b/c:d", "a-b-c-d"),
        ("../x", "x"),
        ("性能测试1", "性能测试1"),
        ("Größe — 2", "Größe-2"),
        ("हिन्दी", "हिन्दी"),
        ("e\u0301", "é"),
        ("☂", "test"),
        ("", "test"),
        ("\udcff1", "1"),
        ("a" * 100, "a" * 60),
    ],
)
def test_a_name_keeps_letters_of_every_script(text: str, name: str) -> None:
    assert safe_name(text) == name


def test_a_name_leaves_space_for_a_time_in_what_a_file_system_takes() -> None:
    assert 0 < len(safe_name("\U00020000" * 100).encode()) <= 180
