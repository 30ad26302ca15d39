"""The API's operations: how often, how fast, how wrong."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from kfp_perf.reports.document import dig
from kfp_perf.reports.failures import Failure, failures_of
from kfp_perf.reports.few_runs import has_enough, is_beyond, statistic_of
from kfp_perf.reports.keeping_up import is_closed
from kfp_perf.reports.operations import PURPOSES, operations_of, rows_of, unanswered_of
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
)
from kfp_perf.reports.story.server_time import server_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kfp_perf.reports.story.report_data import Material

_MOST_ERRORS = 20
_CAPTION = (
    "Latency counts from when an operation was due to the end of its last attempt; those that were not answered "
    "rank above all that were"
)
_SMALL_PRINT = (
    "Below a number stands the rate a second, below a p99 its 95 % confidence interval within this test, below "
    "a p50 its change from the beginning of the test to the end, where that is more than chance explains. "
    "Service is the time of single attempts."
)
_CLOSED = (
    "The load was closed, or in part: a slot waits for its answer before it asks again, so a stall of the "
    "server meets one operation a slot and percentiles understate it. An open load (arrivalRate) has every "
    "operation that was due in a stall."
)


def operations(material: Material) -> Section | None:
    """Every operation, by what it was for."""
    rows: list[list[Cell]] = []
    groups: dict[int, str] = {}
    for purpose, title in PURPOSES.items():
        found = rows_of(dig(material.total, "api"), purpose)
        if found:
            groups[len(rows)] = title.capitalize()
        rows += [_row(material, purpose, name, figures) for name, figures in found.items()]
    if not rows:
        return None
    columns = [
        Column("Operation", is_number=False),
        Column("Number"),
        Column("Not answered"),
        Column("p50"),
        Column("p95"),
        Column("p99"),
        Column("p99.9"),
        Column("Longest answered"),
        Column("Service p50"),
        Column("p99 over the test", is_number=False),
    ]
    blocks: list[Block] = [Table(_CAPTION, columns, rows, groups), Prose(_SMALL_PRINT)]
    if any(is_closed(one) for one in material.scenarios):
        blocks.append(Prose(_CLOSED))
    blocks += server_time(material)
    blocks += _error_tables(list(_errors(material)))
    return Section("api", "How did the API answer?", _lead(material), blocks)


def _calls(material: Material, purpose: str) -> list[tuple[str, dict[str, Any]]]:
    return list(operations_of(dig(material.total, "api"), purpose).items())


def _row(material: Material, purpose: str, name: str, figures: dict[str, Any]) -> list[Cell]:
    latency, service = figures.get("latency_seconds") or {}, figures.get("service_seconds") or {}
    unanswered, rate = unanswered_of(figures), figures.get("rate_per_second")
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
        _number(figures, rate if going_on else None),
        Flag(f"{unanswered:,} ({share_of(figures.get('error_rate'))})", Tone.BAD) if unanswered else "0",
        _drifting(statistic_of(latency, "p50", seconds_of), figures.get("latency_trend")),
        statistic_of(latency, "p95", seconds_of),
        _between(statistic_of(latency, "p99", seconds_of), dig(latency, "intervals", "p99")),
        statistic_of(latency, "p99.9", seconds_of),
        seconds_of(latency.get("longest_answered")),
        statistic_of(service, "p50", seconds_of),
        spark,
    ]


def _number(figures: dict[str, Any], rate: float | None) -> Cell:
    """How many operations, and below it a rate, and the attempts where there were more."""
    count, attempts = figures.get("count", 0), figures.get("attempts", 0)
    notes = [f"{rate_of(rate)}/s"] if rate is not None else []
    notes += [f"{attempts:,} attempts"] if attempts != count else []
    return Noted(f"{count:,}", ", ".join(notes)) if notes else f"{count:,}"


def _drifting(value: str, trend: Any) -> Cell:
    share = dig(trend, "change_share")
    if not dig(trend, "drifts") or not isinstance(share, float):
        return value
    return Noted(value, f"{share * 100:+.0f} %")


def _between(value: str, interval: Any) -> Cell:
    low, high = interval if isinstance(interval, list) and len(interval) == 2 else (None, None)
    if low is None:
        return value
    return Noted(value, f"{seconds_of(low)} or more" if high is None else range_of(low, high))


def _lead(material: Material) -> str:
    load = _calls(material, "load")
    count = sum(figures.get("count", 0) for _, figures in load)
    unanswered = sum(unanswered_of(figures) for _, figures in load)
    if not count:
        return "The load sent no request."
    lead = f"{count_of(count, 'operation')} of the load, of which "
    lead += (
        f"{unanswered:,} {'was' if unanswered == 1 else 'were'} not answered ({share_of(unanswered / count)})"
        if unanswered
        else "all were answered"
    )
    high = {name: _high(figures.get("latency_seconds") or {}) for name, figures in load}
    name, seconds = max(high.items(), key=lambda item: item[1])
    if math.isinf(seconds):
        return f"{lead}. The 99th percentile of {name} was not reached."
    if not seconds:
        return f"{lead}."
    enough = has_enough(dict(load)[name].get("latency_seconds") or {}, "p99")
    within = (
        f"99 % within {seconds_of(seconds)}" if enough else f"its longest answer took {seconds_of(seconds)}"
    )
    return f"{lead}. The slowest was {name}: {within}."


def _high(latency: dict[str, Any]) -> float:
    """The 99th percentile, infinite where it was not reached; of too few values the longest answered, else 0.0."""
    if not has_enough(latency, "p99"):
        return latency.get("longest_answered") or 0.0
    return math.inf if is_beyond(latency, "p99") else latency.get("p99") or 0.0


def _errors(material: Material) -> Iterator[tuple[str, str, Failure]]:
    for purpose, title in PURPOSES.items():
        for name, figures in _calls(material, purpose):
            for failure in failures_of(figures):
                yield name, title.capitalize(), failure


def _error_tables(errors: list[tuple[str, str, Failure]]) -> Iterator[Block]:
    if errors:
        errors = sorted(errors, key=lambda error: -error[2].times)
        yield Table(
            "Operations that failed, and what the server said (what varies is written …)",
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
