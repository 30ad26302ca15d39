"""The table of benchmarks: each is in it, and its short form has options that it takes."""

from __future__ import annotations

import re

import pytest
from benchmarks.__main__ import BENCHMARKS, HERE, listing

#: What benchmarks share, which measures nothing by itself.
SHARED = {"__init__", "__main__", "processes", "static_server"}


def test_every_benchmark_is_in_the_table() -> None:
    assert {path.stem for path in HERE.glob("*.py")} - SHARED == BENCHMARKS.keys()


@pytest.mark.parametrize("name", BENCHMARKS)
def test_the_options_of_a_short_form_are_those_of_the_benchmark(name: str) -> None:
    text = (HERE / f"{name}.py").read_text(encoding="utf-8")
    known = set(re.findall(r'add_argument\(\s*"(--[a-z-]+)"', text))
    assert set(re.findall(r"--[a-z-]+", BENCHMARKS[name].short)) <= known
    assert BENCHMARKS[name].short_seconds <= BENCHMARKS[name].whole_seconds


def test_the_list_has_durations_and_what_each_measures() -> None:
    lines = listing().splitlines()
    assert len(lines) == len(BENCHMARKS) + 2
    for name, line in zip(BENCHMARKS, lines[1:], strict=False):
        assert re.match(rf"{name} +[\d.]+ (s|min|h) +[\d.]+ (s|min|h)  [A-Z`0-9]", line), line
