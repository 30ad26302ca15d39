"""YAML is read as by KFP's API server, which uses Go's yaml.v3 and converts it to JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_perf.errors import InputError
from kfp_perf.pipelines.documents import dump_yaml, parse_yaml


def read(text: str) -> Any:
    (document,) = parse_yaml(text.encode(), "p.yaml")
    return document


def refused(text: str) -> str:
    with pytest.raises(InputError) as caught:
        parse_yaml(text.encode(), "p.yaml")
    (problem,) = caught.value.problems
    return f"{problem.where}: {problem.what}"


@pytest.mark.parametrize(
    ("plain", "value"),
    [
        # words
        *((word, True) for word in ("true", "True", "TRUE")),
        *((word, word) for word in ("tRUE", "yes", "Yes", "on", "ON", "y", "n", "No", "off")),
        *((word, None) for word in ("null", "Null", "NULL", "~", "")),
        ("nULL", "nULL"),
        ("=", "="),
        ("<<", "<<"),
        # whole numbers
        ("0", 0),
        ("-0", 0),
        ("+12", 12),
        ("1_000", 1000),
        ("_1", "_1"),
        ("0777", 511),
        ("0o777", 511),
        ("0O7", 7),
        ("-0o7", -7),
        ("0x1F", 31),
        ("0X1f", 31),
        ("0b101", 5),
        ("-0b101", -5),
        ("09", 9.0),  # no octal digit, so it is read as a float
        ("0x", "0x"),
        ("0o8", "0o8"),
        ("9223372036854775807", 2**63 - 1),
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", float(2**64)),
        ("+18446744073709551615", float(2**64)),
        ("-9223372036854775808", -(2**63)),
        ("-9223372036854775809", -float(2**63)),
        ("1" * 5000, "1" * 5000),
        # floats
        ("1.5", 1.5),
        ("1.", 1.0),
        (".5", 0.5),
        ("+.5", 0.5),
        ("1e3", 1000.0),
        ("1e-5", 1e-5),
        ("-2.E3", -2000.0),
        (".5e+1", 5.0),
        ("1_0.5", 10.5),
        (".5_0", ".5_0"),
        (".", "."),
        ("1e", "1e"),
        ("e5", "e5"),
        ("1e999", "1e999"),
        ("0x1p4", "0x1p4"),
        ("1.5.2", "1.5.2"),
        ("12:30:45", "12:30:45"),
        ("190:20:30.15", "190:20:30.15"),
        # dates become what Go writes for them
        ("2024-01-31", "2024-01-31T00:00:00Z"),
        ("2024-1-2", "2024-01-02T00:00:00Z"),
        ("2024-02-30", "2024-02-30"),
        ("2024-01-31 1:2:3", "2024-01-31T01:02:03Z"),
        ("2024-01-31 01:02:03.250", "2024-01-31T01:02:03.25Z"),
        ("2024-01-31T01:02:03Z", "2024-01-31T01:02:03Z"),
        ("2024-01-31t01:02:03.5+02:00", "2024-01-31T01:02:03.5+02:00"),
        ("2024-01-31T01:02:03+00:00", "2024-01-31T01:02:03Z"),
        ("2024-01-31T01:02:03", "2024-01-31T01:02:03"),
        ("2001-12-14 21:59:43.10 -5", "2001-12-14 21:59:43.10 -5"),
        ("02024-01-31", "02024-01-31"),
    ],
)
def test_plain_scalars(plain: str, value: Any) -> None:
    found = read(f"a: {plain}")["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'1e5'", "1e5"),
        ('"true"', "true"),
        ("!!str 5", "5"),
        ("!!float 5", 5.0),
        ('!!int "5"', 5),
        ("!!binary aGVsbG8=", "hello"),
        ("|\n  1\n", "1\n"),
    ],
)
def test_quotes_and_tags(text: str, value: Any) -> None:
    found = read(f"a: {text}")["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a: 1\nb: 2\na: 3\n", 'p.yaml: line 3, column 1: the key "a" is given twice (first on line 1)'),
        ("a: {b: 1, 'b': 2}", 'p.yaml: line 1, column 11: the key "b" is given twice (first on line 1)'),
        ("x:\n- {c: 1, c: 1}\n", 'p.yaml: line 2, column 10: the key "c" is given twice'),
        ("a: {1: x}", "p.yaml: line 1, column 5: the key 1 is not a string: quote it"),
        ("a: {true: x}", "the key true is not a string"),
        ("a: {2024-01-31: x}", "the key 2024-01-31 is not a string"),
        ("a: {[1]: x}", "the key is not a string"),
        ("a: .inf", ".inf is not a finite number"),
        ("a: [-.Inf]", "-.Inf is not a finite number"),
        ("a: .nan", ".nan is not a finite number"),
        ("a: !!bool yes", "cannot decode 'yes' as tag:yaml.org,2002:bool"),
        ("a: !!int 1.5", "cannot decode '1.5' as tag:yaml.org,2002:int"),
        ("a: !!binary '*'", "has invalid base64"),
        ("a: !mine 1", "could not determine a constructor for the tag"),
        ("a: {<<: 5}", "expected a mapping or list of mappings for merging"),
    ],
)
def test_what_the_server_could_not_read_or_pass_on_is_refused(text: str, what: str) -> None:
    assert what in refused(text)


def test_merge_keys_are_replaced_by_what_they_stand_for() -> None:
    text = """
base: &base {a: 1, b: 2}
more: &more {b: 3, c: 4}
one: {<<: *base, b: 5}
two: {<<: [*base, *more], d: 6}
again: &again {<<: *base, e: 7}
last: {<<: *again, b: 8}
quoted: {"<<": 9}
"""
    found = read(text)
    assert found["one"] == {"a": 1, "b": 5}
    assert found["two"] == {"a": 1, "b": 2, "c": 4, "d": 6}
    assert found["again"] == {"a": 1, "b": 2, "e": 7}
    assert found["last"] == {"a": 1, "b": 8, "e": 7}
    assert found["quoted"] == {"<<": 9}


@pytest.mark.parametrize(
    "text",
    ["1e5", "0o14", "0777", "on", "yes", "1", "1_0", "null", "~", "<<", "=", "2024-1-2", "12:30:45", "0b1"],
)
def test_strings_that_some_reader_takes_for_something_else_are_written_in_quotes(text: str) -> None:
    assert dump_yaml([{"a": text}]) == f"a: '{text}'\n".encode()


def documents(text: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, Any]]:
    scalars = (
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**64 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | text
        | st.from_regex(r"[-+.0-9_eExobT: ]{1,12}", fullmatch=True)
    )
    values = st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
        max_leaves=12,
    )
    return st.dictionaries(text, values, max_size=4)


@given(documents(st.text()))
def test_what_is_written_is_read_again(document: dict[str, Any]) -> None:
    (again,) = parse_yaml(dump_yaml([document]), "p.yaml")
    assert again == document
    assert json.dumps(again) == json.dumps(document)


@given(documents(st.text(st.characters(max_codepoint=0x7E))))
def test_json_of_plain_characters_is_read_as_json(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    assert json.dumps(parse_yaml(text.encode(), "p.json")[0]) == text


def test_half_a_character_in_an_escape_is_refused_as_the_server_does() -> None:
    assert "found invalid Unicode character escape code" in refused('{"a": "\\ud83d\\ude00"}')
