"""Prometheus' text format: what it allows is read, and what it does not is named."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_perf.evidence.exposition import Exposition, MetricSample, NotMetrics, bound_of


def read(text: bytes, *names: str) -> list[MetricSample]:
    return Exposition(names or ("up",)).read(text)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b"up 1", 1.0),
        (b"up 1 1790000000000", 1.0),
        (b"up\t2e3 ", 2000.0),
        (b"up{} 3", 3.0),
        (b"up 3\r", 3.0),
        (b"up +Inf", float("inf")),
        (b'up{a="}{",b="x y"} 4', 4.0),
    ],
)
def test_lines_that_the_format_allows(line: bytes, value: float) -> None:
    ((_, _, found),) = read(b"# HELP up x\n# TYPE up gauge\n" + line + b"\nupper 7\n")
    assert found == value


def test_labels_are_unescaped() -> None:
    (found,) = read(rb'up{path="C:\\x",quoted="a \"b\"",lines="1\n2",}' + b" 1\n")
    assert found.labels == {"path": "C:\\x", "quoted": 'a "b"', "lines": "1\n2"}


def test_only_the_metrics_that_are_wanted_are_read() -> None:
    text = b'runs{id="up 1"} 5\nup_total 6\nup 7\n"up" 8\n'
    assert read(text) == [MetricSample("up", {}, 7.0)]
    assert [one.value for one in read(text, "up", "up_total")] == [6.0, 7.0]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"up 1", "cut off"),
        (b"up one\n", "no number: up one"),
        (b'up{a="b 1\n', 'malformed: up{a="b 1'),
        (b"up{a=b} \n", "malformed"),
        (b"up \n", "malformed"),
        (b"up \x1b[31m1 2 3\n", "malformed: up [31m1 2 3"),
    ],
)
def test_what_the_format_does_not_allow_is_named(text: bytes, why: str) -> None:
    with pytest.raises(NotMetrics) as raised:
        read(text)
    assert why in str(raised.value)


def test_a_bucket_without_a_bound_is_named() -> None:
    assert bound_of(MetricSample("x_bucket", {"le": "+Inf"}, 1.0)) == float("inf")
    for labels in ({}, {"le": "wide"}):
        with pytest.raises(NotMetrics, match="x_bucket has no bound"):
            bound_of(MetricSample("x_bucket", labels, 1.0))


@given(st.binary() | st.text(alphabet='up{}="\\ 1\n').map(str.encode))
def test_any_bytes_are_read_or_refused(text: bytes) -> None:
    with contextlib.suppress(NotMetrics):
        assert all(isinstance(one.value, float) for one in read(text))


def test_a_long_line_takes_no_longer_than_its_length() -> None:
    with pytest.raises(NotMetrics, match="malformed"):
        read(b'up{a="' + b"x" * 1_000_000 + b"\n")
    with pytest.raises(NotMetrics, match="malformed"):
        read(b"up{" + b'a="b",' * 200_000 + b"\n")
