"""Why runs did not succeed, by their messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_perf.reports.document import dig
from kfp_perf.reports.failures import failures_of
from kfp_perf.reports.quantities import count_of
from kfp_perf.reports.story.blocks import Cell, Column, Section, Table

if TYPE_CHECKING:
    from kfp_perf.reports.story.report_data import Material

_MOST = 20


def failures(material: Material) -> Section | None:
    """What KFP, or the run's own tasks, say of runs that failed, were refused, or were lost."""
    found = [
        (one["name"], failure)
        for one in material.scenarios
        for failure in failures_of(dig(one, "metrics", "runs") or {})
    ]
    if not found:
        return None
    found.sort(key=lambda pair: -pair[1].times)
    rows: list[list[Cell]] = [
        [failure.message or "no message", failure.kind_in_words or "–", str(name), f"{failure.times:,}"]
        for name, failure in found[:_MOST]
    ]
    columns = [
        Column("Message", is_number=False),
        Column("Outcome", is_number=False),
        Column("Scenario", is_number=False),
        Column("Runs"),
    ]
    table = Table("Runs that did not succeed (what varies in messages is written …)", columns, rows)
    return Section("failures", "Why did runs fail?", _lead(material), [table])


def _lead(material: Material) -> str:
    runs = material.total["runs"]
    counts = [
        f"{count_of(runs[key], 'run')} {words}"
        for key, words in (("failed", "failed"), ("refused", "refused"), ("lost", "lost"))
        if runs.get(key)
    ]
    most = next(iter(failures_of(runs)), None)
    lead = f"{', '.join(counts)}." if counts else ""
    return f"{lead} Most often: {most.message}." if most and most.message else lead
