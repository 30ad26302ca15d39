"""The slowest runs, and what they waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from kfp_perf.observe.phases import PHASES
from kfp_perf.reports.charts import Bar, Row, Segment, Span, bar_chart, seconds_axis, span_chart
from kfp_perf.reports.document import dig
from kfp_perf.reports.left_behind import still_there
from kfp_perf.reports.quantities import brief_of, clock_of, count_of, seconds_of
from kfp_perf.reports.run_states import WITHOUT_END
from kfp_perf.reports.story.blocks import Block, Cell, Column, Figure, Flag, Hyperlink, Section, Table, Tone

if TYPE_CHECKING:
    from kfp_perf.reports.charts import Chart
    from kfp_perf.reports.story.report_data import Material
    from kfp_perf.result.records import RunRecord


#: One for each of the scenarios with the slowest runs.
_MOST_WATERFALLS = 3
_ON_THE_PATH, _FAILED = 0, 1
_READING = (
    "Each task with the start of its pod, from KFP's whole seconds. The run waited for those on its critical path; "
    "the others had ended before they were needed. Between them are drivers, and the controller's own time."
)


def slowest(material: Material) -> Section | None:
    """The runs that took longest: a table, and what each waited for."""
    found = material.runs.slowest
    if not found:
        return None
    longest, first = found[0]
    lead = (
        f"The run that was followed longest had not ended {seconds_of(longest)} after its creation."
        if first.outcome in WITHOUT_END
        else f"Of the runs that succeeded and executed, the slowest took {seconds_of(longest)}."
    )
    blocks: list[Block] = [_table(material, found)]
    with_phases = [(seconds, record) for seconds, record in found if record.phases]
    if with_phases:
        blocks.append(Figure(_phases(with_phases)))
    # A single task has no order to be shown.
    with_tasks = [one for one in material.runs.with_tasks.values() if len(one[1].tasks) > 1]
    with_tasks = sorted(with_tasks, key=lambda one: -one[0])[:_MOST_WATERFALLS]
    blocks += [
        Figure(_waterfall(place, seconds, record), _READING if place == 1 else "")
        for place, (seconds, record) in enumerate(with_tasks, start=1)
    ]
    return Section("slowest", "Which runs were the slowest?", lead, blocks)


def _table(material: Material, found: list[tuple[float, RunRecord]]) -> Table:
    columns = [
        Column("Run", is_number=False),
        Column("Scenario", is_number=False),
        Column("Outcome", is_number=False),
        Column("Due, min:s"),
        Column("Duration"),
        Column("Within"),
    ]
    there = still_there(material.result)
    rows: list[list[Cell]] = [
        [
            _linked(material, record, there),
            record.scenario,
            Flag(record.outcome.value.replace("_", " "), Tone.WARNING)
            if record.outcome in WITHOUT_END
            else record.outcome.value,
            clock_of(record.due - material.started),
            f"> {seconds_of(seconds)}" if record.outcome in WITHOUT_END else seconds_of(seconds),
            f"± {seconds_of(record.duration_error_seconds)}" if record.duration_error_seconds else "–",
        ]
        for seconds, record in found
    ]
    return Table("The runs that took longest", columns, rows)


def _linked(material: Material, record: RunRecord, there: frozenset[str]) -> Cell:
    """The name of a run, with a link to its page in KFP while it is there: clean-up deletes most runs."""
    page = ui_address(material)
    if not page or record.run_id not in there:
        return record.name
    return Hyperlink(record.name, f"{page}/#/runs/details/{quote(record.run_id, safe='')}")


def ui_address(material: Material) -> str:
    """Where KFP's own pages are: as the settings say, or where the API lies below them; empty where not known."""
    address = dig(material.document, "configuration", "KFP_UI_URL") or ""
    if not address and not material.document["verdict"]["emulator"]:
        url = str(material.document["target"]["url"])
        # Kubeflow's dashboard and KFP's own front end serve the API below their pages.
        address = url if url.endswith("/pipeline") else ""
    address = str(address)
    return address.rstrip("/") if address.startswith(("http://", "https://")) else ""


def _waterfall(place: int, seconds: float, record: RunRecord) -> Chart:
    """The tasks of one run, a row each, in order of their starts."""
    rows, styles = [], set()
    for task in record.tasks:
        style = _FAILED if task.state == "FAILED" else _ON_THE_PATH if task.waited_for else None
        styles.add(style)
        took = seconds_of(task.end - task.begin) if task.end > task.begin else "< 1 s"
        text = took if task.state in {"", "SUCCEEDED"} else f"{took}, {task.state.lower()}"
        rows.append(Row(task.name, [Span(task.begin, task.end, style, f"{task.name}: {text}")], text))
    longest = max(seconds, *(task.end for task in record.tasks))
    waited = sum(task.waited_for for task in record.tasks)
    keys = [(_ON_THE_PATH, "on the critical path"), (None, "beside it"), (_FAILED, "failed")]
    return span_chart(
        f"slowest-tasks-{place}",
        f"Tasks of {record.name}, the slowest of {record.scenario}: {seconds_of(seconds)}",
        f"{count_of(len(rows), 'task')}, of which the run waited for {waited:,}.",
        seconds_axis(longest * 1.02, "time since the run's creation"),
        rows,
        keys=[key for key in keys if key[0] in styles],
    )


def _phases(found: list[tuple[float, RunRecord]]) -> Chart:
    bars = []
    for seconds, record in found:
        parts = [
            Segment(phase, record.phases[phase], f"{phase} {seconds_of(record.phases[phase])}", style)
            for style, phase in enumerate(PHASES)
            if phase in record.phases
        ]
        bars.append(Bar(record.name, brief_of(seconds), parts))
    longest = max(sum(max(part.value, 0.0) for part in bar.segments) for bar in bars)
    alt = "; ".join(f"{bar.name}: " + ", ".join(part.text for part in bar.segments) for bar in bars[:3])
    return bar_chart(
        "slowest-phases",
        "Phases of the slowest runs, from due to visible",
        alt,
        seconds_axis(longest, "time since the run was due"),
        bars,
    )
