"""The API's operations: how often, how fast, how wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_perf.reports.document import dig
from kfp_perf.reports.failures import Failure, failures_of
from kfp_perf.reports.quantities import count_of, range_of, rate_of, seconds_of, share_of
from kfp_perf.reports.story.blocks import (
    Block,
    Cell,
    Column,
    Flag,
    Noted,
    Prose,
    Section,
    Spark,
    Table,
    Tone,
    without_zeros,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kfp_perf.reports.story.report_data import Material

_PURPOSES = {
    "load": "The load",
    "observe": "Following runs",
    "setup": "Preparing",
    "cleanup": "Cleaning up",
}
_MOST_ERRORS = 20
_CAPTION = "Latency counts from when a request was due; of requests that succeeded"
_SMALL_PRINT = (
    "Below a p99 stands its 95 % confidence interval; below a p50 its change from the beginning of the test to the "
    "end, where that is more than chance explains."
)


def operations(material: Material) -> Section | None:
    """Every operation, by what it was for."""
    rows: list[list[Cell]] = []
    groups: dict[int, str] = {}
    for purpose, title in _PURPOSES.items():
        found = _calls(material, purpose)
        if found:
            groups[len(rows)] = title
        rows += [_row(material, purpose, name, figures) for name, figures in found]
    if not rows:
        return None
    columns = [
        Column("Operation", is_number=False),
        Column("Requests"),
        Column("A second"),
        Column("Failed"),
        Column("Retries"),
        Column("p50"),
        Column("p95"),
        Column("p99"),
        Column("p99.9"),
        Column("Longest"),
        Column("p50 of service"),
        Column("p99 over the test", is_number=False),
    ]
    blocks: list[Block] = [
        without_zeros(Table(_CAPTION, columns, rows, groups), "Retries"),
    ]
    if any(isinstance(cell, Noted) for row in rows for cell in row):
        blocks.append(Prose(_SMALL_PRINT))
    blocks += _error_tables(list(_errors(material)))
    return Section("api", "How did the API answer?", _lead(material), blocks)


def _calls(material: Material, purpose: str) -> list[tuple[str, dict[str, Any]]]:
    found = dig(material.total, "api", purpose)
    if not isinstance(found, dict):
        return []
    return [(name, figures) for name, figures in found.items() if isinstance(figures, dict)]


def _row(material: Material, purpose: str, name: str, figures: dict[str, Any]) -> list[Cell]:
    latency, service = figures.get("latency_seconds") or {}, figures.get("service_seconds") or {}
    errors, rate = figures.get("errors", 0), figures.get("rate_per_second")
    going_on = purpose in {"load", "observe"}
    course = material.course.operations.get((purpose, name)) if going_on else None
    spark: Cell = ""
    if course is not None:
        values = course.quantiles(0.99)
        known = [value for value in values if value is not None]
        if len(known) > 1:
            spark = Spark(
                values,
                f"p99 of {name} over the test: from {seconds_of(min(known))} to {seconds_of(max(known))}",
            )
    return [
        name,
        f"{figures.get('count', 0):,}",
        rate_of(rate) if going_on else "",
        Flag(f"{errors:,} ({share_of(figures.get('error_rate'))})", Tone.BAD) if errors else "0",
        f"{figures.get('retries', 0):,}",
        _drifting(latency.get("p50"), figures.get("latency_trend")),
        seconds_of(latency.get("p95")),
        _between(latency.get("p99"), dig(latency, "intervals", "p99")),
        *(seconds_of(latency.get(key)) for key in ("p99.9", "max")),
        seconds_of(service.get("p50")),
        spark,
    ]


def _drifting(value: float | None, trend: Any) -> Cell:
    share = dig(trend, "change_share")
    if not dig(trend, "drifts") or not isinstance(share, float):
        return seconds_of(value)
    return Noted(seconds_of(value), f"{share * 100:+.0f} %")


def _between(value: float | None, interval: Any) -> Cell:
    low, high = interval if isinstance(interval, list) and len(interval) == 2 else (None, None)
    if low is None:
        return seconds_of(value)
    return Noted(seconds_of(value), f"{seconds_of(low)} or more" if high is None else range_of(low, high))


def _lead(material: Material) -> str:
    load = _calls(material, "load")
    count = sum(figures.get("count", 0) for _, figures in load)
    errors = sum(figures.get("errors", 0) for _, figures in load)
    if not count:
        return "The load sent no request."
    lead = f"{count_of(count, 'request')} of the load, of which "
    lead += f"{errors:,} failed ({share_of(errors / count)})" if errors else "none failed"
    slow = max(load, key=lambda item: (item[1].get("latency_seconds") or {}).get("p99") or 0.0)
    p99 = (slow[1].get("latency_seconds") or {}).get("p99")
    return f"{lead}. The slowest was {slow[0]}: 99 % within {seconds_of(p99)}." if p99 else f"{lead}."


def _errors(material: Material) -> Iterator[tuple[str, str, Failure]]:
    for purpose, title in _PURPOSES.items():
        for name, figures in _calls(material, purpose):
            for failure in failures_of(figures):
                yield name, title, failure


def _error_tables(errors: list[tuple[str, str, Failure]]) -> Iterator[Block]:
    if errors:
        errors = sorted(errors, key=lambda error: -error[2].times)
        yield Table(
            "Requests that failed, and what the server said (what varies is written …)",
            [
                Column("Operation", is_number=False),
                Column("Kind", is_number=False),
                Column("Message", is_number=False),
                Column("For", is_number=False),
                Column("Times"),
            ],
            [
                [name, failure.kind_in_words, failure.message or "no message", title, f"{failure.times:,}"]
                for name, title, failure in errors[:_MOST_ERRORS]
            ],
        )
