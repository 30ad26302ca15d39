"""Where the time went: phases of the critical path, and components."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_perf.observe.phases import PHASES
from kfp_perf.reports.charts import Bar, Segment, bar_chart, seconds_axis
from kfp_perf.reports.document import dig
from kfp_perf.reports.quantities import brief_of, seconds_of, share_of
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
from kfp_perf.reports.story.report_data import letter_of

if TYPE_CHECKING:
    from kfp_perf.reports.charts import Chart
    from kfp_perf.reports.story.report_data import Material

_MOST_COMPONENTS = 40


def phases(material: Material) -> Section | None:
    """The mean phases of each scenario's runs, and its components."""
    named = [
        (f"{letter_of(place)}  {one['name']}", found)
        for place, one in enumerate(material.scenarios)
        if (found := _means(dig(one, "metrics", "phases")))
    ]
    components = [
        (one["name"], name, figures)
        for one in material.scenarios
        for name, figures in (_components_of(one)).items()
    ]
    if not named and not components:
        return None
    blocks: list[Block] = []
    lead = "What the pipeline's components did."
    if named:
        total = _means(dig(material.total, "phases")) or named[0][1]
        lead = _lead(total)
        below = any(phase["mean"] < 0 for _, means in named for phase in means.values())
        blocks += [Figure(_bars(named), _NOTE + (_BELOW_ZERO if below else "")), _phase_table(total)]
    if components:
        blocks.append(_component_table(components))
    return Section("phases", "Where did the time go?", lead, blocks)


_NOTE = (
    "Means over the runs that succeeded, along each run's critical path: what it waited for. KFP tells whole "
    "seconds; means of many runs are finer than that, single phases are not. The start of a pod is part of driver "
    "and execute."
)
_BELOW_ZERO = (
    " A mean below zero is left out of the bars: that phase is shorter than whole seconds and different clocks "
    "can tell."
)


def _means(family: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(family, dict):
        return {}
    return {
        name: family[name]
        for name in PHASES
        if isinstance(family.get(name), dict) and family[name].get("mean") is not None
    }


def _lead(total: dict[str, dict[str, Any]]) -> str:
    whole = sum(max(phase["mean"], 0.0) for phase in total.values())
    if not whole:
        return "The phases are shorter than what KFP's whole seconds can tell."
    longest = max(total, key=lambda name: total[name]["mean"])
    share = total[longest]["mean"] / whole
    work = max(dig(total, "execute", "mean") or 0.0, 0.0)
    return (
        f"From due to visible a run took {seconds_of(whole)} on average; {share_of(share)} of it was {longest}: "
        f"{PHASES[longest].meaning}. Outside of the tasks themselves (execute) it spent {seconds_of(whole - work)}."
    )


def _bars(named: list[tuple[str, dict[str, dict[str, Any]]]]) -> Chart:
    bars = []
    for name, means in named:
        segments = [
            Segment(phase, means[phase]["mean"], f"{phase} {seconds_of(means[phase]['mean'])}", style)
            for style, phase in enumerate(PHASES)
            if phase in means
        ]
        whole = sum(max(segment.value, 0.0) for segment in segments)
        longest = max(segments, key=lambda segment: segment.value)
        share = f", {share_of(longest.value / whole)} {longest.name}" if whole else ""
        bars.append(Bar(name, f"{brief_of(whole)}{share}", segments))
    most = max(sum(max(part.value, 0.0) for part in bar.segments) for bar in bars)
    alt = "; ".join(f"{bar.name}: " + ", ".join(part.text for part in bar.segments) for bar in bars)
    return bar_chart(
        "phases",
        "Mean phases of a run, from due to visible",
        alt,
        seconds_axis(most, "time since the run was due"),
        bars,
    )


def _phase_table(total: dict[str, dict[str, Any]]) -> Table:
    whole = sum(max(phase["mean"], 0.0) for phase in total.values()) or 1.0
    columns = [
        Column("Phase", is_number=False),
        Column("Mean"),
        Column("Share"),
        Column("One run's error, at most"),
        Column("Runs"),
        Column("What it is", is_number=False),
    ]
    rows: list[list[Cell]] = [
        [
            name,
            seconds_of(phase["mean"]),
            share_of(max(phase["mean"], 0.0) / whole),
            f"± {seconds_of(phase['error_seconds'])}" if phase.get("error_seconds") is not None else "–",
            f"{phase.get('n', 0):,}",
            PHASES[name].meaning,
        ]
        for name, phase in total.items()
    ]
    return Table("Phases over all runs", columns, rows)


def _components_of(scenario: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = dig(scenario, "metrics", "observer", "components")
    if not isinstance(found, dict):
        return {}
    return {name: figures for name, figures in found.items() if isinstance(figures, dict)}


def _component_table(components: list[tuple[str, str, dict[str, Any]]]) -> Table:
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
                Flag(f"{failed:,}", Tone.BAD) if failed else "0",
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
        seen = 0
        for second, count in counts:
            seen += count
            if seen >= share * total - 1e-6:
                found.append(f"{second:,} s")
                break
    return [seconds_of(mean) if mean else "0 s", *found]
