"""Where the pods of runs waited: for a node, for images, for their containers; by role and by node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_perf.metrics.pods import ROLES, STAGES
from kfp_perf.reports.charts import Bar, Segment, bar_chart, seconds_axis
from kfp_perf.reports.document import dig
from kfp_perf.reports.quantities import brief_of, count_of, seconds_of, share_of
from kfp_perf.reports.story.blocks import (
    Block,
    Cell,
    Column,
    Figure,
    Items,
    Prose,
    Section,
    Table,
    Tone,
    count_cell,
    without_zeros,
)

if TYPE_CHECKING:
    from kfp_perf.reports.charts import Chart
    from kfp_perf.reports.story.report_data import Material

_MOST_NODES = 20
_NAMES = {"driver": "A driver's pod", "executor": "A task's pod"}
#: What the stages are called where there is little room.
_WORDS = {
    "scheduling": "waiting for a node",
    "pull": "image pull",
    "start": "container start",
    "work": "work",
    "saving": "saving outputs",
}


def pods(material: Material) -> Section | None:
    """The stages of the pods of runs that were due in the measured time; None without any."""
    found = material.total.get("pods")
    if not isinstance(found, dict) or not found.get("seen"):
        return None
    roles = {role: found[role] for role in ROLES if isinstance(found.get(role), dict)}
    blocks: list[Block] = []
    if bars := _bars(roles):
        blocks.append(Figure(bars, _NOTE))
    blocks.append(_stage_table(roles))
    if isinstance(nodes := found.get("by_node"), dict) and nodes:
        blocks.append(_node_table(nodes))
    if texts := _troubles(found):
        blocks.append(Items(texts, Tone.WARNING))
    if isinstance(reasons := found.get("reasons"), dict) and reasons:
        texts = [f"{reason} ({count_of(count, 'pod')})" for reason, count in reasons.items()]
        blocks += [Prose("Why pods failed, or had no node at first:"), Items(texts)]
    return Section("pods", "Where did pods wait?", _lead(material, found, roles), blocks)


_NOTE = (
    "Means over the pods that ended the stage. Kubernetes gives whole seconds; means of many pods are finer than "
    "that, and the pull is the node's own measure. The phases driver and execute of a run are made of these "
    "stages, of the pods that it waited for."
)


def _means(figures: dict[str, Any]) -> dict[str, float]:
    """The mean of each stage that has one."""
    found = {stage: dig(figures, f"{stage}_seconds", "mean") for stage in STAGES}
    return {stage: mean for stage, mean in found.items() if isinstance(mean, int | float)}


def _lead(material: Material, found: dict[str, Any], roles: dict[str, dict[str, Any]]) -> str:
    created = dig(material.total, "runs", "created") or 0
    runs = found.get("runs_with_pods") or 0
    of = f"{runs:,} of {count_of(created, 'run')}" if created > runs else count_of(runs, "run")
    texts = [f"{count_of(found['seen'], 'pod')} of {of} were seen."]
    for role, figures in roles.items():
        means = _means(figures)
        waits = {stage: mean for stage, mean in means.items() if stage != "work"}
        if not waits or not (whole := sum(means.values())):
            continue
        longest = max(waits, key=lambda stage: waits[stage])
        texts.append(
            f"{_NAMES[role]} took {seconds_of(whole)} on average, {seconds_of(means.get('work'))} of it work; of "
            f"the rest, {_WORDS[longest]} took most: {seconds_of(waits[longest])}."
        )
    return " ".join(texts)


def _bars(roles: dict[str, dict[str, Any]]) -> Chart | None:
    bars = []
    for role, figures in roles.items():
        means = _means(figures)
        segments = [
            Segment(_WORDS[stage], means[stage], f"{_WORDS[stage]} {seconds_of(means[stage])}", style)
            for style, stage in enumerate(STAGES)
            if stage in means
        ]
        if segments:
            bars.append(Bar(_NAMES[role], brief_of(sum(means.values())), segments))
    if not bars:
        return None
    most = max(sum(part.value for part in bar.segments) for bar in bars)
    return bar_chart(
        "pods",
        "Mean stages of pods, from creation to end",
        "; ".join(f"{bar.name}: " + ", ".join(part.text for part in bar.segments) for bar in bars),
        seconds_axis(most, "time since the pod's creation"),
        bars,
    )


def _stage_table(roles: dict[str, dict[str, Any]]) -> Table:
    columns = [
        Column("Stage", is_number=False),
        *(
            Column(title)
            for title in ("Pods", "Not ended", "Mean", "p50", "p95", "Longest", "One pod's error")
        ),
        Column("What it is", is_number=False),
    ]
    rows: list[list[Cell]] = []
    groups: dict[int, str] = {}
    for role, figures in roles.items():
        groups[len(rows)] = f"Pods of {ROLES[role]}"
        for stage, meaning in STAGES.items():
            one = figures.get(f"{stage}_seconds")
            if isinstance(one, dict):
                rows.append(_stage_row(stage, one, meaning))
    return without_zeros(Table("Stages of pods, in their order", columns, rows, groups), "Not ended")


def _stage_row(stage: str, one: dict[str, Any], meaning: str) -> list[Cell]:
    beyond = one.get("not_reached") or ()
    above = one.get("above") or 0
    return [
        _WORDS[stage],
        f"{one.get('n') or 0:,}",
        count_cell(above, Tone.WARNING),
        seconds_of(one.get("mean")),
        *("not reached" if share in beyond else seconds_of(one.get(share)) for share in ("p50", "p95")),
        seconds_of(one.get("longest_answered")),
        f"± {seconds_of(one['error_seconds'])}" if one.get("error_seconds") else "–",
        meaning,
    ]


def _node_table(nodes: dict[str, Any]) -> Table:
    columns = [
        Column("Node", is_number=False),
        *(Column(title) for title in ("Pods", "Failed", "Images pulled")),
        *(Column(_WORDS[stage][0].upper() + _WORDS[stage][1:]) for stage in STAGES),
        Column("Longest start"),
    ]
    rows: list[list[Cell]] = [
        [
            name,
            f"{one.get('pods') or 0:,}",
            count_cell(one.get("failed") or 0, Tone.BAD),
            f"{one.get('image_pulls') or 0:,}",
            *(seconds_of(dig(one, f"{stage}_seconds", "mean")) for stage in STAGES),
            seconds_of(dig(one, "start_seconds", "max")),
        ]
        for name, one in list(nodes.items())[:_MOST_NODES]
        if isinstance(one, dict)
    ]
    more = f" (the {_MOST_NODES} with the most pods, of {len(nodes)})" if len(nodes) > _MOST_NODES else ""
    return without_zeros(Table(f"Mean stages by node{more}", columns, rows), "Failed", "Images pulled")


def _troubles(found: dict[str, Any]) -> list[str]:
    seen = found["seen"]
    kinds = {
        "failed": "failed",
        "oom_kills": "had a container that was ended for its use of memory",
        "unschedulable": "found no node at first",
        "unfinished": "were not over when the test ended",
    }
    return [
        f"{count_of(number, 'pod')} ({share_of(number / seen)}) {words}"
        for name, words in kinds.items()
        if (number := found.get(name) or 0)
    ]
