"""The components of pipelines: how often they were executed, and how long that took."""

from __future__ import annotations

from typing import Any

from kfp_perf.metrics.metric import fewest_values
from kfp_perf.reports.document import dig
from kfp_perf.reports.quantities import seconds_of, share_of
from kfp_perf.reports.story.blocks import Cell, Column, Table, Tone, count_cell, without_zeros

_MOST_COMPONENTS = 40


def components_of(scenario: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The figures of each component that runs of a scenario had, by its name."""
    found = dig(scenario, "metrics", "observer", "components")
    if not isinstance(found, dict):
        return {}
    return {name: figures for name, figures in found.items() if isinstance(figures, dict)}


def component_table(components: list[tuple[str, str, dict[str, Any]]]) -> Table:
    """A row for each component: scenario, name and figures."""
    columns = [
        Column("Component", is_number=False),
        Column("Executed"),
        Column("Failed"),
        Column("From cache"),
        Column("Skipped"),
        Column("On the critical path"),
        Column("Mean"),
        Column("p50"),
        Column("p95"),
        Column("Longest"),
    ]
    rows: list[list[Cell]] = []
    groups: dict[int, str] = {}
    for scenario, name, figures in components[:_MOST_COMPONENTS]:
        if scenario not in groups.values():
            groups[len(rows)] = scenario
        failed = figures.get("failed", 0)
        mean, *quantiles = _whole_seconds(figures.get("seconds") or {})
        executed = figures.get("executed", 0)
        rows.append(
            [
                name,
                f"{executed:,}",
                count_cell(failed, Tone.BAD),
                f"{figures.get('cached', 0):,}",
                f"{figures.get('skipped', 0):,}",
                share_of(figures.get("on_critical_path", 0) / executed) if executed else "–",
                mean,
                *quantiles,
            ]
        )
    more = (
        f" (the first {_MOST_COMPONENTS} of {len(components)})" if len(components) > _MOST_COMPONENTS else ""
    )
    title = f"Components, with the start of their pods; each execution within 1 s{more}"
    return without_zeros(Table(title, columns, rows, groups), "From cache", "Skipped", "On the critical path")


def _whole_seconds(histogram: dict[str, int]) -> list[str]:
    """Mean, median, 95th percentile and maximum of executions counted by their whole seconds."""
    counts = sorted((int(second), count) for second, count in histogram.items())
    total = sum(count for _, count in counts)
    if not total:
        return ["–"] * 4
    mean = sum(second * count for second, count in counts) / total
    found = []
    for share in (0.5, 0.95, 1.0):
        if share < 1.0 and total < fewest_values(share):
            found.append("–")
            continue
        seen = 0
        for second, count in counts:
            seen += count
            if seen >= share * total - 1e-6:
                found.append(f"{second:,} s")
                break
    return [seconds_of(mean) if mean else "0 s", *found]
