"""Where the time went: phases of the critical path, and components."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_perf.observe.phases import PHASES
from kfp_perf.reports.charts import Bar, Segment, bar_chart, seconds_axis
from kfp_perf.reports.document import dig
from kfp_perf.reports.evidence import signs
from kfp_perf.reports.keeping_up import keeping_up
from kfp_perf.reports.quantities import brief_of, count_of, seconds_of, share_of
from kfp_perf.reports.story.blocks import (
    Block,
    Cell,
    Column,
    Figure,
    Prose,
    Section,
    Table,
    Tone,
)
from kfp_perf.reports.story.durations import clock_conflicts
from kfp_perf.reports.story.pipeline_components import component_table, components_of
from kfp_perf.reports.story.report_data import letter_of
from kfp_perf.reports.tuning import SETTINGS, advice

if TYPE_CHECKING:
    from kfp_perf.reports.charts import Chart
    from kfp_perf.reports.story.report_data import Material

#: Which share of the whole a phase must have for its settings to be named.
_WORTH_ADVICE = 0.2


def phases(material: Material) -> Section | None:
    """The mean phases of each scenario's runs that succeeded and executed, and its components."""
    named = [
        (f"{letter_of(place)}  {one['name']}", found)
        for place, one in enumerate(material.scenarios)
        if (found := _of_succeeded(dig(one, "metrics", "phases")))
    ]
    components = [
        (one["name"], name, figures)
        for one in material.scenarios
        for name, figures in components_of(one).items()
    ]
    submit = dig(material.total, "phases", "submit")
    if not named and not components and not submit:
        return None
    blocks: list[Block] = []
    lead = "What the pipeline's components did." if components else ""
    if named or submit:
        total = _of_succeeded(dig(material.total, "phases"))
        lead = _lead(total, material.total["runs"])
        if named:
            blocks.append(Figure(_bars(named), _NOTE))
        blocks.append(_phase_table(total, submit))
        behind = any(one.behind for one in keeping_up(material.document))
        if total and not behind and (text := _advice(total)):
            blocks.append(Prose(" ".join([text, *signs(material.total)])))
        blocks += clock_conflicts(material)
        if material.runs.incomplete:
            blocks.append(Prose(_incomplete(material.runs.incomplete), Tone.WARNING))
    if components:
        blocks.append(component_table(components))
    return Section("phases", "Where did the time go?", lead, blocks)


_NOTE = (
    "Means over the runs that succeeded and executed, along each run's critical path: what it waited for. KFP "
    "gives whole seconds; means of many runs are finer than that, single phases are not. The start of a pod is "
    "part of driver and execute."
)


def _incomplete(runs: int) -> str:
    return (
        f"{count_of(runs, 'run')} that ended have no phases of tasks: the server did not show their final tasks in "
        "time."
    )


def _of_succeeded(family: Any) -> dict[str, dict[str, Any]]:
    """The phases of runs that succeeded and executed; `submit`, which is known of more runs, of those alone."""
    if not isinstance(family, dict):
        return {}
    found = {name: family[name] for name in PHASES if isinstance(family.get(name), dict)}
    if "submit" in found:
        found["submit"] = found["submit"].get("of_succeeded") or {}
    return {name: phase for name, phase in found.items() if phase.get("mean") is not None}


def _count(phases: dict[str, dict[str, Any]]) -> int:
    return max((int(phase.get("n") or 0) for phase in phases.values()), default=0)


def _largest(phases: dict[str, dict[str, Any]]) -> tuple[str, float, float]:
    """The largest phase, its mean, and the sum of all."""
    whole = sum(max(phase["mean"], 0.0) for phase in phases.values())
    largest = max(phases, key=lambda name: phases[name]["mean"])
    return largest, phases[largest]["mean"], whole


def _lead(total: dict[str, dict[str, Any]], runs: dict[str, Any]) -> str:
    if not total:
        return "No run both succeeded and executed, so only the creation of runs is known."
    these = f"{count_of(_count(total), 'run')} that succeeded and executed"
    due = int(runs.get("due") or 0)
    of = f"Of {due:,} runs due, the" if due > _count(total) else "The"
    largest, mean, whole = _largest(total)
    if not whole:
        return f"{of} {these} had phases shorter than KFP's whole seconds resolve."
    work = max(dig(total, "execute", "mean") or 0.0, 0.0)
    return (
        f"{of} {these} took {seconds_of(whole)} on average from due to visible; {share_of(mean / whole)} of it was "
        f"{largest}: {PHASES[largest].meaning}. Outside of the tasks themselves (execute) they spent "
        f"{seconds_of(whole - work)}."
    )


def _advice(total: dict[str, dict[str, Any]]) -> str:
    largest, mean, whole = _largest(total)
    if not whole or mean / whole < _WORTH_ADVICE:
        return ""
    return f"The largest phase of these runs is {largest}. {advice(SETTINGS[largest])}"


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
        "Mean phases of the runs that succeeded and executed, from due to visible",
        alt,
        seconds_axis(most, "time since the run was due"),
        bars,
    )


def _phase_table(total: dict[str, dict[str, Any]], submit: Any) -> Table:
    """The phases; first `submit` of all created runs, where these are more."""
    whole = sum(max(phase["mean"], 0.0) for phase in total.values())
    columns = [
        Column("Phase", is_number=False),
        Column("Mean"),
        Column("Share"),
        Column("One run's error, at most"),
        Column("Runs"),
        Column("What it is", is_number=False),
    ]
    rows: list[list[Cell]] = []
    groups: dict[int, str] = {}
    created = int(dig(submit, "n") or 0)
    if created > int(dig(total, "submit", "n") or 0):
        groups[0] = f"Of all {count_of(created, 'run')} whose CreateRun was answered"
        rows.append(_phase_row("submit", submit, 0.0))
    if total:
        if rows:
            groups[len(rows)] = f"Of the {count_of(_count(total), 'run')} that succeeded and executed"
        rows += [_phase_row(name, phase, whole) for name, phase in total.items()]
    title = (
        "Phases, by the runs that they are of" if groups else "Phases of the runs that succeeded and executed"
    )
    return Table(title, columns, rows, groups)


def _phase_row(name: str, phase: dict[str, Any], whole: float) -> list[Cell]:
    return [
        name,
        seconds_of(phase.get("mean")),
        share_of(max(phase["mean"], 0.0) / whole) if whole else "–",
        f"± {seconds_of(phase['error_seconds'])}" if phase.get("error_seconds") is not None else "–",
        f"{phase.get('n', 0):,}",
        PHASES[name].meaning,
    ]
