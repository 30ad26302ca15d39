"""Whether the server kept up, and where the runs were that had not ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kfp_perf.reports.charts import Line, clock_axis, count_axis, stepped, xy_chart
from kfp_perf.reports.evidence import signs
from kfp_perf.reports.keeping_up import is_closed, keeping_up
from kfp_perf.reports.quantities import clock_of, count_of, seconds_of
from kfp_perf.reports.run_states import STATES, growths, levels, thinned
from kfp_perf.reports.story.blocks import Block, Cell, Column, Figure, Items, Prose, Section, Table, Tone
from kfp_perf.reports.tuning import SETTINGS_OF_STATES, advice

if TYPE_CHECKING:
    from kfp_perf.reports.charts import Chart
    from kfp_perf.reports.keeping_up import KeepingUp
    from kfp_perf.reports.story.report_data import Material


def server_keeping_up(material: Material) -> Section | None:
    """For each open load whether the server fell behind, the runs in flight by state, and those without an end."""
    if not material.runs.created and not any(keeping_up(material.document)):
        return None
    found = list(keeping_up(material.document))
    blocks: list[Block] = []
    if material.runs.created:
        blocks.append(Figure(_in_flight(material), _NOTE + _given_up(material)))
    blocks += [block for one in found if one.behind for block in _what_grew(material, one)]
    blocks += _without_end(material)
    return Section("keeping-up", "Did the server keep up?", _lead(material, found), blocks)


_NOTE = (
    "What a client can see of each run: it waits for CreateRun's answer from when it is due, and is reported as "
    "running once the server says so, which may be long after it began. It leaves when its end is visible"
)


def _given_up(material: Material) -> str:
    return ", or when it was given up at the end." if material.runs.given_up else "."


def _lead(material: Material, found: list[KeepingUp]) -> str:
    several = len(material.scenarios) > 1
    texts = [f"{one.scenario}: {one.text}" if several else _capital(one.text) for one in found]
    closed = [str(one["name"]) for one in material.scenarios if is_closed(one) and material.has_runs(one)]
    if closed:
        names = f"{', '.join(closed)}: " if several else ""
        text = "the load was closed: it waits for the server, which cannot fall behind it"
        texts.append(f"{names}{text}" if several else _capital(text))
    return " ".join(f"{text}." for text in texts)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _in_flight(material: Material) -> Chart:
    """The number of runs in flight, by what a client can see of them."""
    states = [one.states for one in material.runs.scenarios.values()]
    drawn = {}
    for state, name in STATES.items():
        times, counts = levels(states, state, material.started)
        if counts.size and counts.max() > 0:
            points = [(0.0, 0.0), *thinned(times, counts, material.seconds)]
            drawn[name] = [*points, (material.seconds, points[-1][1])]
    most = max((count for points in drawn.values() for _, count in points), default=0.0)
    texts = "; ".join(
        f"{name}: at most {count_of(int(max(count for _, count in points)), 'run')}"
        for name, points in drawn.items()
    )
    return xy_chart(
        "in-flight",
        "Runs in flight, by what a client can see of them",
        f"{texts}.",
        clock_axis(material.seconds),
        count_axis(most, "runs"),
        [Line(name, stepped(points), style) for style, (name, points) in enumerate(drawn.items())],
        bands=material.bands,
        moments=material.moments,
    )


def _what_grew(material: Material, found: KeepingUp) -> list[Block]:
    """In which state the number of runs grew while the server was behind."""
    runs = material.runs.scenarios.get(found.scenario)
    if runs is None or not len(runs.states.due):
        return []
    first, last = min(runs.states.due), max(runs.states.due)
    begin = first if found.since is None else found.since
    grown = [one for one in growths(runs.states, begin, last) if one.after > one.before]
    if not grown:
        return []
    of = f"{found.scenario}: b" if len(material.scenarios) > 1 else "B"
    first_text, last_text = (clock_of(at - material.started) for at in (begin, last))
    state = grown[0].state
    return [
        Prose(
            f"{of}etween {first_text} and {last_text}, when the last run was due, the number of runs grew:"
        ),
        Items([f"{STATES[one.state]}: from {one.before:,} to {one.after:,}" for one in grown]),
        Prose(
            f"The number of runs {STATES[state]} grew most, so what they wait for is the bottleneck. These numbers "
            "are of all runs, while phases are known only of runs that ended. "
            f"{advice(SETTINGS_OF_STATES[state])}",
            Tone.WARNING,
        ),
        *(Prose(text, Tone.WARNING) for text in signs(material.total)),
    ]


def _without_end(material: Material) -> list[Block]:
    """The runs that had not ended, by the state that the server last reported."""
    runs = material.total["runs"]
    ages = {
        state: np.concatenate(
            [np.asarray(one.states.report_ages[state]) for one in material.runs.scenarios.values()]
        )
        for state in STATES
        if material.runs.scenarios
    }
    rows: list[list[Cell]] = [
        [
            _capital(STATES[state]),
            f"{found.size:,}",
            f"≥ {seconds_of(float(np.median(found)))}",
            f"≥ {seconds_of(float(found.max()))}",
        ]
        for state, found in ages.items()
        if found.size
    ]
    if not rows:
        return []
    without_end = sum(found.size for found in ages.values())
    kinds = [
        f"{runs[key]:,} {words}"
        for key, words in (("unfinished", "unfinished"), ("cut_off", "cut off"))
        if runs.get(key)
    ]
    title = f"The {count_of(without_end, 'run')} without an end ({', '.join(kinds)}), as last reported"
    columns = [
        Column("State", is_number=False),
        Column("Runs"),
        Column("Median age of the report"),
        Column("Oldest report"),
    ]
    return [Table(title, columns, rows)]
