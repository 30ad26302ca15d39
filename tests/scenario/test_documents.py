from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from kfp_perf.errors import InputError
from kfp_perf.scenario.documents import MAX_DEPTH, parse_json, read_text, step

if TYPE_CHECKING:
    from pathlib import Path


def refused(text: str) -> InputError:
    with pytest.raises(InputError) as caught:
        parse_json(text, "a.json")
    return caught.value


def test_a_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"\xef\xbb\xbf[1]")
    assert read_text(path, "file") == "[1]"


@pytest.mark.parametrize(
    ("content", "what"),
    [(b"\xff\xfe[\x00]\x00", "is not UTF-8 (byte 0)"), (b'["caf\xe9"]', "is not UTF-8 (byte 5)")],
)
def test_other_encodings_are_refused(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_text(path, "file")
    assert caught.value.problems[0].what == what


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_text(tmp_path / "none.json", "file")
    with pytest.raises(InputError, match="is a folder"):
        read_text(tmp_path, "file")
    with pytest.raises(InputError, match="cannot be read"):
        read_text(tmp_path / ("a" * 5000), "file")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="not a regular file"):
        read_text(tmp_path / "pipe", "file")


@pytest.mark.parametrize("text", ["", "  \n\t"])
def test_an_empty_text_is_refused(text: str) -> None:
    assert refused(text).problems[0].what == "is empty"


@pytest.mark.parametrize(
    ("text", "place", "remedy"),
    [
        ("{", "1:2", ""),
        ('[\n  {"a": 1,}\n]', "2:", "comma"),
        ("['a']", "1:2", "double quotes"),
        ('[ // why\n"a"]', "1:3", "no comments"),
        ("mode: PIPELINE_RUN", "1:1", "looks like YAML"),
        ("# mine\n- mode: PIPELINE_RUN\n  runTime: 5\n", "1:1", "looks like YAML"),
        ("# mine\n[]", "1:1", "no comments"),
        ("---\nscenarios:\n", "1:1", "looks like YAML"),
        ("# PIPELINE DEFINITION\ncomponents: {}\npipelineInfo:\n  name: x\n", "1:1", "pipelineFileName"),
    ],
)
def test_what_is_not_json_is_located(text: str, place: str, remedy: str) -> None:
    problem = refused(text).problems[0]
    assert str(problem).startswith(f"a.json:{place}")
    assert "is not JSON" in problem.what
    assert remedy in problem.remedy


@pytest.mark.parametrize("bracket", ["[", '{"a":'])
def test_deep_nesting_is_refused_however_deep(bracket: str) -> None:
    assert "nested too deeply" in refused(bracket * 100_000).problems[0].what


def test_nesting_is_bounded_below_what_python_can_read() -> None:
    deep = MAX_DEPTH + 1
    assert "nested too deeply" in refused("[" * deep + "1" + "]" * deep).problems[0].what
    parse_json("[" * MAX_DEPTH + "]" * MAX_DEPTH, "a.json")


def test_a_number_of_thousands_of_digits_is_refused() -> None:
    assert "is not JSON that can be read" in refused(f"[{'9' * 10_000}]").problems[0].what


def test_repeated_keys_and_numbers_that_are_none_are_all_found() -> None:
    value, problems = parse_json('[{"a": 1, "b": {"c": NaN, "c": 1e999}, "a": -Infinity}]', "a.json")
    assert {problem.where: problem.what for problem in problems} == {
        "a.json: $[0].a": "is given twice",
        "a.json: $[0].b.c": "is given twice",
    } | {"a.json: $[0].a": "must be a finite number", "a.json: $[0].b.c": "must be a finite number"}
    assert len(problems) == 4
    assert isinstance(value, list)


def test_paths_name_members_and_items() -> None:
    assert step("$", 2) == "$[2]"
    assert step("$", "runTime") == "$.runTime"
    assert step("$", "a b") == '$["a b"]'
    assert step("$", "") == '$[""]'
