"""How far the runs of schedules started from their slots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_perf.reports.charts import Marks, clock_axis, seconds_axis, xy_chart
from kfp_perf.reports.document import dig
from kfp_perf.reports.few_runs import has_enough, most_of, statistic_of
from kfp_perf.reports.quantities import count_of, seconds_of
from kfp_perf.reports.story.blocks import (
    Block,
    Cell,
    Column,
    Figure,
    Flag,
    Section,
    Table,
    Tone,
    without_zeros,
)

if TYPE_CHECKING:
    from typing import Any

    from kfp_perf.reports.story.report_data import Material

_COUNTS = ("slots", "started", "missed", "doubled", "unscheduled")


def schedules(material: Material) -> Section | None:
    """Slots that were met, missed and doubled, and the drift of each run."""
    total = dig(material.total, "schedule")
    drifts = material.runs.drifts
    if not total and not drifts:
        return None
    found = total if isinstance(total, dict) else {}
    blocks: list[Block] = []
    lead = (
        f"{count_of(int(found.get('slots') or 0), 'slot')}, {int(found.get('missed') or 0):,} of them missed."
    )
    drift = found.get("drift_seconds") or {}
    if drift.get("n"):
        lead += (
            f" Half of the runs were created within {seconds_of(drift['p50'])} after their slot, "
            f"{most_of(drift, 'p95', seconds_of)}."
            if has_enough(drift, "p50")
            else f" One run was created {seconds_of(drift['max'])} after its slot."
        )
    if drifts:
        longest = max(seconds for _, seconds in drifts)
        shortest = min(seconds for _, seconds in drifts)
        chart = xy_chart(
            "drift",
            "Drift: from a run's slot to its creation",
            f"{count_of(len(drifts), 'run')}, from {seconds_of(shortest)} to {seconds_of(longest)}.",
            clock_axis(material.seconds, "slot: time since the start of the test, min:s"),
            seconds_axis(max(longest * 1.1, 1.0), "drift", low=min(shortest, 0.0)),
            [Marks("runs", [(slot - material.started, seconds) for slot, seconds in drifts], "dot", 0)],
            bands=material.bands,
        )
        note = (
            f"Each within {seconds_of(found.get('drift_error_seconds'))}. KFP's controller looks every 30 s."
        )
        blocks.append(Figure(chart, note))
    rows = [
        _row(one["name"], figures)
        for one in material.scenarios
        if isinstance(figures := dig(one, "metrics", "schedule"), dict) and figures
    ]
    if rows:
        table = Table("Schedules by scenario", _COLUMNS, rows)
        blocks.append(without_zeros(table, "Doubled", "Without a slot"))
    return Section("schedules", "Did schedules keep their time?", lead, blocks)


_COLUMNS = [
    Column("Scenario", is_number=False),
    Column("Slots"),
    Column("Started"),
    Column("Missed"),
    Column("Doubled"),
    Column("Without a slot"),
    Column("Drift p50"),
    Column("Drift p95"),
    Column("Longest drift"),
]


def _row(name: str, figures: dict[str, Any]) -> list[Cell]:
    counts = {key: int(figures.get(key) or 0) for key in _COUNTS}
    drift = figures.get("drift_seconds") or {}
    odd = {"missed", "doubled", "unscheduled"}
    return [
        name,
        *(
            Flag(f"{count:,}", Tone.WARNING) if count and key in odd else f"{count:,}"
            for key, count in counts.items()
        ),
        *(statistic_of(drift, key, seconds_of) for key in ("p50", "p95", "max")),
    ]
