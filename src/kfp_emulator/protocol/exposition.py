"""Prometheus' text format: families of samples, and histograms."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Labels = tuple[tuple[str, object], ...]
"""Names and values of a sample's labels, in the order in which they are written."""


class Histogram:
    """Counts by upper bound, the last one without a bound; values are seconds."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, *bounds: float) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Count a value."""
        if seconds:
            self.counts[bisect_left(self.bounds, seconds)] += 1
            self.total += seconds
        else:  # nothing has to wait on profiles on which no time passes
            self.counts[0] += 1


def family(name: str, kind: str, text: str, samples: Mapping[Labels, float]) -> list[str]:
    """Return the lines of a family of counters or gauges; none where it has no samples."""
    lines = [f"{name}{_braces(labels)} {_number(value)}" for labels, value in samples.items()]
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}", *lines] if lines else []


def histograms(name: str, text: str, samples: Mapping[Labels, Histogram]) -> list[str]:
    """Return the lines of a family of histograms; none where it has none."""
    lines: list[str] = []
    for labels, histogram in samples.items():
        count = 0
        bounds: Iterable[str] = (*(f"{bound:g}" for bound in histogram.bounds), "+Inf")
        for bound, found in zip(bounds, histogram.counts, strict=True):
            count += found
            lines.append(f"{name}_bucket{_braces((*labels, ('le', bound)))} {count}")
        lines.append(f"{name}_sum{_braces(labels)} {_number(histogram.total)}")
        lines.append(f"{name}_count{_braces(labels)} {count}")
    return [f"# HELP {name} {text}", f"# TYPE {name} histogram", *lines] if lines else []


def _braces(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{_escape(str(value))}"' for name, value in labels) + "}" if labels else ""


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))
