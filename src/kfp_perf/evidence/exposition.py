"""Prometheus' text format: the samples of the metrics that are wanted, from the body of one answer.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format. A server has thousands of lines,
some for each run it ever had, and few are wanted: one regular expression finds those.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LABEL = re.compile(rb'\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*,?')
_LABELS = rb'(?:\{((?:[^"}\n]|"(?:[^"\\\n]|\\.)*")*)\})?'
_ESCAPES = {b"\\\\": b"\\", b'\\"': b'"', b"\\n": b"\n"}
_QUOTED = 80


class NotMetrics(Exception):
    """The text is not what Prometheus' format allows, or was cut off; the text is the reason."""


class MetricSample(NamedTuple):
    """One value: the name as it stands in the text (`..._bucket`, `..._sum`), its labels, and the number."""

    name: str
    labels: dict[str, str]
    value: float


class Exposition:
    """Reads the samples of some metrics, by the names as they stand in the text."""

    def __init__(self, names: Iterable[str]) -> None:
        either = rb"|".join(re.escape(name.encode()) for name in sorted(names))
        begin = rb"^(" + either + rb")"
        rest = rb"[ \t]*" + _LABELS + rb"[ \t]+([^\s{}]+)(?:[ \t]+-?\d+)?[ \t]*\r?$"
        # The name must end there: a longer one begins alike.
        self._line = re.compile(begin + rb"(?=[ \t{])(?:" + rest + rb")?", re.MULTILINE)

    def read(self, text: bytes) -> list[MetricSample]:
        """Return the samples in their order. Raises `NotMetrics`."""
        if text and not text.endswith(b"\n"):
            raise NotMetrics("the text was cut off: it does not end with a line feed")
        return list(self._samples(text))

    def _samples(self, text: bytes) -> Iterator[MetricSample]:
        for found in self._line.finditer(text):
            name, labels, number = found.groups()
            if number is None:
                raise NotMetrics(f"a line is malformed: {_line_at(text, found.start())}")
            try:
                value = float(number)
            except ValueError:
                raise NotMetrics(f"a value is no number: {_line_at(text, found.start())}") from None
            yield MetricSample(name.decode(), _labels(labels or b""), value)


def _labels(text: bytes) -> dict[str, str]:
    return {
        name.decode(): re.sub(rb"\\[\\\"n]", lambda one: _ESCAPES[one[0]], value).decode("utf-8", "replace")
        for name, value in _LABEL.findall(text)
    }


def _line_at(text: bytes, start: int) -> str:
    line = text[start : start + _QUOTED].split(b"\n")[0].decode("utf-8", "replace")
    return "".join(filter(str.isprintable, line))


def bound_of(sample: MetricSample) -> float:
    """The upper bound of a bucket, from its label `le`. Raises `NotMetrics`."""
    try:
        return float(sample.labels["le"])
    except (KeyError, ValueError):
        raise NotMetrics(f"a bucket of {sample.name} has no bound") from None


def is_count(value: float) -> bool:
    """Whether a value can be that of a counter: finite, and not negative."""
    return math.isfinite(value) and value >= 0.0
