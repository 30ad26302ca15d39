"""The live screen: a separate program that reads the feed from its standard input and draws it on stderr."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import msgspec
from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from kfp_perf.live.snapshot import (
    FeedMessage,
    ScenarioState,
    Snapshot,
    ordered_thresholds,
    threshold_state,
    threshold_value,
    visible_text,
    waits_of,
)
from kfp_perf.reports.quantities import clock_of, count_of, seconds_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import RenderableType

_LEVEL_STYLES = {
    logging.INFO: "green",
    logging.WARNING: "yellow",
    logging.ERROR: "red",
    logging.CRITICAL: "bold red",
}
#: The counters by their column's title: the field of a state, and its style.
_COUNTED = {
    "in flight": ("in_flight", ""),
    "succeeded": ("succeeded", "green"),
    "failed": ("failed", "red"),
    "lost": ("lost", "yellow"),
    "requests": ("requests", ""),
}
#: Columns that are left out where the terminal has no room for them, this one first; the bar goes before them.
_LEFT_OUT = ("requests", "state")
_STATE_CELLS = 11
_NAME_CELLS = (12, 28)
_BAR_CELLS = (8, 24)
_LEAST_WIDTH_OF_STATES = 64
_MOST_ROWS = 12
_MOST_ERRORS = 3
_MOST_WAITS = 3
_MOST_EVIDENCE = 4
_MOST_THRESHOLDS = 6
#: The sign before a threshold, and its style.
_THRESHOLD_SIGNS = {"kept": ("✓", "green"), "not kept": ("✗", "bold red")}


def draw(snapshot: Snapshot, width: int) -> RenderableType:
    """The screen for a state, at most `width` columns wide."""
    return Group(
        _head(snapshot),
        _scenarios(snapshot, width),
        *_runs(snapshot),
        _figures(snapshot),
        *_evidence(snapshot, width),
        *_thresholds(snapshot, width),
        *_waits(snapshot),
        *_errors(snapshot),
    )


def _head(snapshot: Snapshot) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(snapshot.name, style="bold")
    text.append(f"  {clock_of(snapshot.elapsed_seconds)} of {clock_of(snapshot.planned_seconds)}")
    text.append("  on the emulator" if snapshot.emulator else f"  on {snapshot.target}", style="dim")
    if snapshot.stopping:
        text.append("  stopping", style="bold yellow")
    return text


def _scenarios(snapshot: Snapshot, width: int) -> Table:
    rows = [
        {"scenario": state.name, "state": _state(state, snapshot.elapsed_seconds), **_counts([state])}
        for state in snapshot.scenarios[:_MOST_ROWS]
    ]
    if len(snapshot.scenarios) > _MOST_ROWS:
        rows.append({"scenario": Text(f"and {len(snapshot.scenarios) - _MOST_ROWS} more", style="dim")})
    if len(snapshot.scenarios) > 1:
        rows.append({"scenario": "in all", **_counts(snapshot.scenarios)})
    cells = {title: _widest(title, rows) for title in ("scenario", "state", *_COUNTED)}
    cells["state"] = max(cells["state"], _STATE_CELLS)
    name, bar = _fit(cells, width)
    table = Table(box=None, padding=(0, 1, 0, 0), expand=False, header_style="dim")
    for title in cells:
        table.add_column(
            title,
            justify="right" if title in _COUNTED else "left",
            no_wrap=True,
            overflow="ellipsis",
            width=name if title == "scenario" else cells[title],
        )
        if title == "scenario" and bar:
            table.add_column("", no_wrap=True, width=bar)
    for place, row in enumerate(rows):
        texts = [row.get(title, "") for title in cells]
        if bar:
            is_one = place < len(snapshot.scenarios[:_MOST_ROWS])
            texts.insert(1, _bar(snapshot.scenarios[place], snapshot, bar) if is_one else "")
        table.add_row(*texts, style="bold" if row["scenario"] == "in all" else "")
    return table


def _widest(title: str, rows: Sequence[Mapping[str, Text | str]]) -> int:
    return max(cell_len(title), *(cell_len(str(row.get(title, ""))) for row in rows))


def _fit(cells: dict[str, int], width: int) -> tuple[int, int]:
    """Leave out the columns that have no room; return how wide names and the bar are (0: no bar).

    Each column is followed by a space.
    """
    shortest, longest = (min(cells["scenario"], limit) for limit in _NAME_CELLS)

    def room() -> int:
        return width - sum(cells[title] + 1 for title in cells if title != "scenario") - 1

    for title in _LEFT_OUT:
        if room() < shortest:
            del cells[title]
    left = room()
    name = max(1, min(longest, left))
    bar = min(_BAR_CELLS[1], left - name - 1)
    if bar < _BAR_CELLS[0]:
        # A bar says more than the end of a long name.
        name, bar = (
            (left - _BAR_CELLS[0] - 1, _BAR_CELLS[0]) if left > shortest + _BAR_CELLS[0] else (name, 0)
        )
    return name, bar


def _counts(states: Sequence[ScenarioState]) -> dict[str, Text | str]:
    """Runs in flight, succeeded, failed and lost, and requests, of these scenarios together."""
    cells: dict[str, Text | str] = {}
    for title, (name, style) in _COUNTED.items():
        count = sum(getattr(state, name) for state in states)
        cells[title] = Text(f"{count:,}", style=style if count else "dim")
    return cells


def _bar(state: ScenarioState, snapshot: Snapshot, cells: int) -> Text:
    """The scenario's bar in the test's timeline; the elapsed part is drawn thick."""
    whole = max(snapshot.planned_seconds, 1e-9)
    text = Text()
    for cell in range(cells):
        at = (cell + 0.5) / cells * whole
        inside = state.start_seconds <= at < state.end_seconds
        over = at <= snapshot.elapsed_seconds
        if inside:
            text.append("━" if over else "─", style="cyan" if over else "bright_black")
        else:
            text.append("·" if over else " ", style="bright_black")
    return text


def _state(state: ScenarioState, elapsed: float) -> Text:
    if state.away:
        return Text("no answer", style="bold red")
    if state.to_clean_up and state.cleaned_up < state.to_clean_up:
        return Text(f"deleting {state.cleaned_up * 100 // state.to_clean_up} %")
    if state.phase == "running":
        return Text(f"{clock_of(state.end_seconds - elapsed)} left")
    if state.phase == "waiting" and state.start_seconds > elapsed:
        return Text(f"in {clock_of(state.start_seconds - elapsed)}", style="dim")
    return Text(state.phase, style="dim" if state.phase == "ended" else "")


def _runs(snapshot: Snapshot) -> list[Text]:
    """What a user waits for a run, of all runs due until now, and how many succeed a minute."""
    if not snapshot.runs_due:
        return []
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append("runs visible p50 ")
    text.append(visible_text(snapshot), style="bold")
    text.append(f" of {snapshot.runs_due:,} due   ", style="dim")
    text.append(f"{snapshot.runs_per_minute:.1f}", style="bold")
    text.append(" a minute")
    return [text]


def _figures(snapshot: Snapshot) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f"{snapshot.requests_per_second:.1f}", style="bold")
    text.append(" requests/s")
    if snapshot.latency_p50 is not None:
        text.append("   latency p50 ")
        text.append(seconds_of(snapshot.latency_p50), style="bold")
        text.append(" p99 ")
        text.append(seconds_of(snapshot.latency_p99), style="bold")
    if snapshot.lateness_p99 is not None:
        text.append(f"   lateness p99 {seconds_of(snapshot.lateness_p99)}", style="dim")
    return text


def _evidence(snapshot: Snapshot, width: int) -> list[Text]:
    """How the sources of evidence stand, as many on a line as fit."""
    lines: list[str] = []
    for text in snapshot.evidence:
        if lines and len(lines[-1]) + len(text) + 3 <= width:
            lines[-1] += f"   {text}"
        else:
            lines.append(text)
    return [Text(line, style="dim", no_wrap=True, overflow="ellipsis") for line in lines[:_MOST_EVIDENCE]]


def _thresholds(snapshot: Snapshot, width: int) -> list[RenderableType]:
    """A line for each threshold that can be judged meanwhile, and how many are judged at the end."""
    found = ordered_thresholds(snapshot)
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis")
    table.add_column(no_wrap=True, justify="right")
    if width >= _LEAST_WIDTH_OF_STATES:
        table.add_column(no_wrap=True, style="dim")
    several = len(snapshot.scenarios) > 1
    for one in found[:_MOST_THRESHOLDS]:
        sign, style = _THRESHOLD_SIGNS.get(one.state, ("·", "dim"))
        scenario = f"{one.scenario}: " if one.scenario and several else ""
        cells = [
            Text(sign, style=style),
            Text(f"{scenario}{one.metric} {one.condition}{' (default)' if one.default else ''}"),
            Text(threshold_value(one), style=style if one.state == "not kept" else "bold"),
            Text(threshold_state(one)),
        ]
        table.add_row(*cells[: len(table.columns)])
    rest = []
    if len(found) > _MOST_THRESHOLDS:
        rest.append(f"{count_of(len(found) - _MOST_THRESHOLDS, 'threshold')} more")
    if later := len(snapshot.thresholds) - len(found):
        rest.append(f"{count_of(later, 'threshold')} judged at the end")
    lines: list[RenderableType] = [table] if found else []
    return [*lines, *([Text(", ".join(rest), style="dim")] if rest else [])]


def _waits(snapshot: Snapshot) -> list[Text]:
    lines = waits_of(snapshot.scenarios, snapshot.elapsed_seconds)[:_MOST_WAITS]
    return [Text(line, style="cyan", no_wrap=True, overflow="ellipsis") for line in lines]


def _errors(snapshot: Snapshot) -> list[Text]:
    if not snapshot.errors:
        return []
    worst = sorted(snapshot.errors.items(), key=lambda item: -item[1])
    told = ", ".join(f"{count} × {kind}" for kind, count in worst[:_MOST_ERRORS])
    more = f", and {len(worst) - _MOST_ERRORS} other kinds" if len(worst) > _MOST_ERRORS else ""
    return [Text(f"errors: {told}{more}", style="red", no_wrap=True, overflow="ellipsis")]


_decoder = msgspec.json.Decoder(FeedMessage)


def show(lines: Iterable[bytes], console: Console) -> None:
    """Draw each message of the feed until it ends.

    A terminal that was made narrower wraps what was drawn before, and the cursor no longer stands where the last
    drawing left it. So the whole screen is cleared when its size has changed.
    """
    size = console.size
    live = _started(console)
    try:
        for line in lines:
            try:
                message = _decoder.decode(line)
            except (msgspec.DecodeError, msgspec.ValidationError):
                continue  # a line that was cut off when the test was killed
            if console.size != size:
                size = console.size
                live.stop()
                console.clear()
                live = _started(console)
            if message.log is not None:
                style = _LEVEL_STYLES.get(message.log.level, "")
                console.print(Text(message.log.text, style=style), soft_wrap=True)
            if message.snapshot is not None:
                live.update(draw(message.snapshot, console.width), refresh=True)
    finally:
        live.stop()


def _started(console: Console) -> Live:
    live = Live(console=console, auto_refresh=False, transient=True)
    live.start()
    return live


def main() -> None:
    """Draw what comes on the standard input until it ends."""
    show(sys.stdin.buffer, Console(stderr=True))


if __name__ == "__main__":
    main()
