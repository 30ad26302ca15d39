"""What the components of KFP did on the time axis of the test: CPU, memory, restarts, queues.

PARTS is the table of what the section consists of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_perf.evidence.profiles import PROFILES
from kfp_perf.evidence.readings import Stretch, read_scrapes
from kfp_perf.evidence.scrape import SCRAPES_SUFFIX
from kfp_perf.reports.document import dig
from kfp_perf.reports.evidence import bucketed_cell
from kfp_perf.reports.quantities import (
    count_of,
    rate_of,
    share_of,
    size_of,
)
from kfp_perf.reports.story.blocks import (
    Block,
    Cell,
    Column,
    Items,
    Prose,
    Section,
    Table,
    Tone,
    count_cell,
    without_zeros,
)
from kfp_perf.reports.story.component_pods import component_pods, restarted_components
from kfp_perf.reports.story.over_time import chart_over_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from kfp_perf.evidence.readings import Readings
    from kfp_perf.reports.story.over_time import TimedValues
    from kfp_perf.reports.story.report_data import Material

_MIB = 2.0**20
_NAMES = {
    "server": "the API server",
    "controller": "Argo's workflow controller",
    "scheduledworkflow": "the scheduled-workflow controller",
}


def components(material: Material) -> Section | None:
    """What was collected of the components, and which sources were missing; None without any evidence."""
    blocks = [block for make in PARTS for block in make(material)]
    if not blocks:
        return None
    return Section("components", "What did the components do?", _lead(material), blocks)


def _lead(material: Material) -> str:
    restarted = [
        _NAMES.get(name, name)
        for name, figures in _endpoints(material).items()
        if (figures.get("restarts") or 0) > 0
    ]
    restarted += [name for name in restarted_components(material) if name not in restarted]
    if restarted:
        return f"Restarted during the test: {', '.join(restarted)}."
    busiest = max(
        _endpoints(material).items(), key=lambda one: dig(one[1], "cpu_cores", "max") or 0.0, default=None
    )
    most = dig(busiest[1], "cpu_cores", "max") if busiest else None
    if busiest is None or most is None or dig(material.document, "target", "emulator"):
        return "Collected beside the load; docs/evidence.md says from where."
    return f"Of CPU, {_NAMES.get(busiest[0], busiest[0])} used most: up to {rate_of(most)} cores."


def _endpoints(material: Material) -> dict[str, dict[str, Any]]:
    """The figures of each endpoint that was scraped, by its name."""
    names = material.result.evidence.names(SCRAPES_SUFFIX)
    ordered = [
        *(name for name in PROFILES if name in names),
        *(name for name in names if name not in PROFILES),
    ]
    found = {name: dig(material.total, name) or dig(material.total, "endpoints", name) for name in ordered}
    return {name: figures for name, figures in found.items() if isinstance(figures, dict) and figures}


def processes(material: Material) -> Iterator[Block]:
    """A row for each endpoint, and its CPU and memory over the test."""
    found = _endpoints(material)
    if not found:
        return
    columns = [
        Column("Component", is_number=False),
        *(
            Column(title)
            for title in ("CPU mean", "CPU max", "Memory max", "Open files max", "Of their limit")
        ),
        *(Column(title) for title in ("Goroutines max", "Restarts", "Missed scrapes")),
    ]
    rows = [_process_row(name, figures) for name, figures in found.items()]
    caption = "In the measured time, by their own metrics; CPU in cores, at most between two scrapes"
    yield without_zeros(Table(caption, columns, rows), "Missed scrapes", "Open files max", "Of their limit")
    read = _readings(material, found)
    stretch = _whole(material)
    cpu = {name: one.rates("cpu", stretch) for name, one in read.items()}
    yield from chart_over_time(material, "cpu", "CPU of the components", "cores", _named(cpu))
    memory = {
        name: [(at, value / _MIB) for at, value in one.gauge("memory", stretch)] for name, one in read.items()
    }
    yield from chart_over_time(material, "memory", "Memory of the components", "MiB", _named(memory))


def _process_row(name: str, figures: Mapping[str, Any]) -> list[Cell]:
    restarts, missed = figures.get("restarts") or 0, figures.get("missed_scrapes") or 0
    files = dig(figures, "open_files", "max")
    return [
        _capital(_NAMES.get(name, name)),
        rate_of(dig(figures, "cpu_cores", "mean")),
        rate_of(dig(figures, "cpu_cores", "max")),
        size_of(dig(figures, "memory_bytes", "max")),
        "–" if files is None else f"{files:,.0f}",
        share_of(figures.get("open_files_share")),
        "–" if (count := dig(figures, "goroutines", "max")) is None else f"{count:,.0f}",
        count_cell(restarts, Tone.BAD),
        count_cell(missed, Tone.WARNING),
    ]


def queues(material: Material) -> Iterator[Block]:
    """The queues of Argo's controller: what waited in them, for how long, and how many workers were busy."""
    found = dig(material.total, "controller", "queues")
    if not isinstance(found, dict) or not found:
        return
    columns = [
        Column("Queue", is_number=False),
        *(Column(title) for title in ("Depth mean", "Depth max", "Busy workers max", "Handled")),
        *(Column(title) for title in ("Waited p50", "Waited p95", "Took p50", "Took p95")),
    ]
    rows: list[list[Cell]] = [
        [
            name,
            rate_of(dig(one, "depth", "mean")),
            rate_of(dig(one, "depth", "max")),
            rate_of(dig(one, "busy_workers", "max")),
            f"{dig(one, 'duration_seconds', 'n') or 0:,}",
            *(bucketed_cell(one.get("latency_seconds"), share) for share in ("p50", "p95")),
            *(bucketed_cell(one.get("duration_seconds"), share) for share in ("p50", "p95")),
        ]
        for name, one in found.items()
        if dig(one, "duration_seconds", "n") or dig(one, "depth", "max")
    ]
    if not rows:
        return
    yield Table("The queues of Argo's workflow controller", columns, rows)
    read = _readings(material, ["controller"]).get("controller")
    if read is not None:
        stretch = _whole(material)
        lines = {
            "workflows waiting": read.gauge("depth/workflow_queue", stretch),
            "workers busy": read.gauge("busy_workers/workflow_queue", stretch),
        }
        title = "The workflow queue of Argo's controller"
        yield from chart_over_time(material, "queue", title, "workflows and workers", _named(lines))


def missing(material: Material) -> Iterator[Block]:
    """The sources that were not there, or failed at times, and why."""
    sources = material.document.get("evidence")
    texts = []
    for one in sources if isinstance(sources, list) else ():
        if not isinstance(one, dict):
            continue
        title = _capital(str(one.get("title")))
        if why := one.get("missing"):
            remedy = str(one.get("remedy") or "")
            texts.append(f"{title}: {'. '.join(filter(None, (str(why), remedy)))}")
        elif failures := one.get("failures"):
            last = one.get("last_failure")
            texts.append(f"{title}: {count_of(failures, 'look')} failed, the last because {last}")
        if left_out := one.get("left_out"):
            texts.append(f"{title}: {count_of(left_out, 'line')} left out, beyond the bound on their size")
    if texts:
        yield Prose("Not collected, or not all of the time:")
        yield Items(texts)


#: What the section consists of, in order: functions from a result to blocks.
PARTS: tuple[Callable[[Material], Iterator[Block]], ...] = (processes, component_pods, queues, missing)


def _readings(material: Material, names: Any) -> dict[str, Readings]:
    found = {name: read_scrapes(material.result.evidence, name) for name in names}
    return {name: one for name, one in found.items() if one is not None}


def _whole(material: Material) -> Stretch:
    return Stretch(material.started, material.started + material.seconds)


def _named(lines: Mapping[str, TimedValues]) -> dict[str, TimedValues]:
    return {_capital(_NAMES.get(name, name)): points for name, points in lines.items()}


def _capital(text: str) -> str:
    text = text.removeprefix("the ")
    return text[:1].upper() + text[1:]
