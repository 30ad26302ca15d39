"""Whether the load generator kept up, and the other health checks of the test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_perf.health.bounds import BOUNDS
from kfp_perf.reports.document import dig
from kfp_perf.reports.few_runs import has_enough
from kfp_perf.reports.quantities import count_of, seconds_of, share_of
from kfp_perf.reports.story.blocks import Block, Cell, Column, Flag, Items, Section, Table, Tone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kfp_perf.reports.story.report_data import Material


def generator(material: Material) -> Section | None:
    """What the generator added to the figures, and each of its resources against its bound."""
    lateness = dig(material.total, "generator", "lateness_seconds") or {}
    watched = material.document.get("generator")
    watched = watched if isinstance(watched, dict) else {}
    if not lateness and not watched:
        return None
    blocks: list[Block] = []
    lead = ""
    if watched:
        exceeded = watched.get("exceeded") or []
        lead = "No: beyond its bounds, its own part in the figures is not small. " if exceeded else "Yes. "
        if exceeded:
            blocks.append(Items([str(line) for line in exceeded], Tone.BAD))
    if lateness.get("n"):
        most = (
            f"{seconds_of(lateness.get('p99'))} at the 99th percentile"
            if has_enough(lateness, "p99")
            else f"{seconds_of(lateness.get('max'))} at most"
        )
        lead += (
            f"Requests of the load left {seconds_of(lateness.get('p50'))} late in the median and {most}, which is "
            "part of every latency here."
        )
    rows: list[list[Cell]] = []
    groups: dict[int, str] = {}
    for owner, found in _owners(watched):
        groups[len(rows)] = owner
        rows += found
    if rows:
        title = "What the generator used, in windows of a second, against its bounds"
        blocks.append(Table(title, _COLUMNS, rows, groups))
    blocks += _checks(material)
    return Section("generator", "Did the load generator keep up?", lead.strip(), blocks)


_COLUMNS = [
    Column("Resource", is_number=False),
    Column("Mean"),
    Column("Worst second"),
    Column("Bound"),
    Column("Beyond it for"),
]


def _owners(watched: dict[str, Any]) -> Iterator[tuple[str, list[list[Cell]]]]:
    """The resources of the process, then those of each scenario, always in the same order."""
    scenarios = watched.get("scenarios")
    owners: list[tuple[str, Any]] = [("The process", watched.get("process"))]
    if isinstance(scenarios, dict):
        owners += [(name, dig(figures, "resources")) for name, figures in scenarios.items()]
    order = list(BOUNDS)
    for owner, resources in owners:
        found = resources if isinstance(resources, dict) else {}
        names = sorted(found, key=lambda name: order.index(name) if name in BOUNDS else len(order))
        rows = [_row(name, found[name]) for name in names if isinstance(found[name], dict)]
        if rows:
            yield owner, rows


def _row(name: str, tally: dict[str, Any]) -> list[Cell]:
    unit, beyond = tally.get("unit"), tally.get("seconds_beyond") or 0.0
    bound = BOUNDS.get(name)
    sign = "≥" if bound and bound.at_least else "≤"
    return [
        _capital(bound.what if bound else name.replace("_", " ")),
        _amount(tally.get("mean"), unit),
        _amount(tally.get("worst"), unit),
        f"{sign} {_amount(tally.get('limit'), unit)}",
        Flag(seconds_of(beyond), Tone.WARNING) if beyond else "–",
    ]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _amount(value: Any, unit: Any) -> str:
    if not isinstance(value, (int, float)):
        return "–"
    return f"{value / 1e9:,.1f} GB" if unit == "bytes" else share_of(value)


def _checks(material: Material) -> Iterator[Block]:
    """What the checks of API and progress found, if anything."""
    found = [
        f"The API did not answer the health check {count_of(int(api['failed']), 'time')} of {api.get('asked')}."
        for api in [dig(material.document, "health", "api")]
        if isinstance(api, dict) and api.get("failed")
    ]
    stalls = dig(material.document, "health", "stalls")
    if isinstance(stalls, list):
        found += [f"{dig(stall, 'scenario')}: {dig(stall, 'text')}" for stall in stalls]
    if found:
        yield Items(found, Tone.WARNING)
