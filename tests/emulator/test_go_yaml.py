"""YAML as yaml.v3 of Go reads it; the expectations are those of its resolve.go and decode_test.go."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kfp_emulator.pipelines.go_yaml import GoYamlError, load_all, resolve


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(
            (text, text)
            for text in ("yes", "Yes", "NO", "on", "Off", "y", "N", "tRue", "nUll", "=", "1:30", "190:20:30")
        ),
        *((text, True) for text in ("true", "True", "TRUE")),
        *((text, False) for text in ("false", "False", "FALSE")),
        *((text, None) for text in ("~", "null", "Null", "NULL")),
        ("0", 0),
        ("-0", 0),
        ("12", 12),
        ("+12", 12),
        ("-12", -12),
        ("1_000", 1000),
        ("0777", 511),
        ("-0777", -511),
        ("0o777", 511),
        ("0o8", "0o8"),
        ("08", 8.0),
        ("09.5", 9.5),
        ("0x1F", 31),
        ("-0x1F", -31),
        ("0b101", 5),
        ("0x", "0x"),
        ("18446744073709551615", 18446744073709551615),
        ("18446744073709551616", 18446744073709551616.0),
        ("1.5", 1.5),
        ("1.", 1.0),
        (".5", 0.5),
        ("+.5", 0.5),
        ("1e5", 100000.0),
        ("1e-05", 1e-05),
        ("-2E3", -2000.0),
        ("1_000.5", 1000.5),
        ("1e", "1e"),
        ("1.2.3", "1.2.3"),
        ("2.1.0", "2.1.0"),
        ("-", "-"),
        (".", "."),
        ("...a", "...a"),
        ("2024-01-01", "2024-01-01T00:00:00Z"),
        ("2024-1-2", "2024-01-02T00:00:00Z"),
        ("2024-01-01T10:20:30Z", "2024-01-01T10:20:30Z"),
        ("2024-01-01T10:20:30.500+02:00", "2024-01-01T10:20:30.5+02:00"),
        ("2024-01-01 10:20:30", "2024-01-01T10:20:30Z"),
        ("2024-01-01T10:20:30", "2024-01-01T10:20:30"),
        ("2024-13-01", "2024-13-01"),
        ("24-01-01", "24-01-01"),
    ],
)
def test_plain_scalars(text: Any, value: Any) -> None:
    read = resolve(text)
    assert read == value
    assert type(read) is type(value)


def test_numbers_that_are_none() -> None:
    assert resolve(".inf") == math.inf
    assert resolve("-.INF") == -math.inf
    assert math.isnan(resolve(".NaN"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: '5'\nb: \"yes\"\nc: |\n  true\n", {"a": "5", "b": "yes", "c": "true\n"}),
        ("a: !!str 5\nb: !!int '5'\nc: !!float 5\nd: ! 5", {"a": "5", "b": 5, "c": 5.0, "d": "5"}),
        ("a: !!binary aGVsbG8=", {"a": "hello"}),
        ("a: !custom 5\nb: !custom {x: 1}", {"a": "5", "b": {"x": 1}}),
        ("1: a\ntrue: b\n1.5: c\n0x10: d\n2024-01-01: e", None),
        ("a: &x {k: 1, l: 2}\nb:\n  <<: *x\n  l: 3", {"a": {"k": 1, "l": 2}, "b": {"k": 1, "l": 3}}),
        ("a: &x {k: 1}\nb: &y {k: 2, m: 3}\nc: {<<: [*x, *y]}", None),
        ("'<<': 1", {"<<": 1}),
        ("a:\nb: ~\nc: ''", {"a": None, "b": None, "c": ""}),
        ("a: &x 1\nb: *x", {"a": 1, "b": 1}),
    ],
)
def test_documents(text: Any, value: Any) -> None:
    (read,) = load_all(text)
    if value is None:
        expected = {
            "1": {"1": "a", "true": "b", "1.5": "c", "16": "d", "2024-01-01T00:00:00Z": "e"},
            "a": {"a": {"k": 1}, "b": {"k": 2, "m": 3}, "c": {"k": 1, "m": 3}},
        }
        value = expected[text[0]]
    assert read == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: 1\na: 2", 'line 2: mapping key "a" already defined at line 1'),
        ("x:\n  b: 1\n  c: 2\n  b: 3", 'line 4: mapping key "b" already defined at line 2'),
        ("a: !!bool yes", "cannot decode !!str `yes` as a !!bool"),
        ("a: !!int x", "cannot decode !!str `x` as a !!int"),
        ("a: !!binary '*'", "invalid base64"),
        ("~: a", "unsupported map key"),
        ("? [a]\n: 1", "invalid map key"),
        ("a: *nowhere", "nowhere"),
        ("a: {<<: 1}", "map merge requires map or sequence of maps"),
        ("a: &a [*a]", "value contains itself"),
    ],
)
def test_what_is_no_yaml(text: Any, reason: Any) -> None:
    with pytest.raises(GoYamlError) as caught:
        load_all(text)
    assert reason in str(caught.value)


# Without digits: PyYAML leaves 1e5 and 0o17 plain, which are numbers to yaml.v3.
TEXT = st.text("yesnoYN~ :#-'\"{}[]&*!|>%@`,?<=\\\n", max_size=12)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(TEXT, JSON, max_size=4))
def test_what_python_writes_is_read_as_it_was(document: Any) -> None:
    assert load_all(yaml.safe_dump(document, allow_unicode=True)) == [document]
