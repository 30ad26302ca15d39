"""A plan before it runs: which scenario when, at what load, and about how many runs and requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kfp_perf.reports.quantities import clock_of, count_of
from kfp_perf.scenario.quantities import Rate
from kfp_perf.scenario.ramps import stage_ramps

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from rich.console import ConsoleOptions, RenderResult

    from kfp_perf.plan import Plan
    from kfp_perf.scenario.model import Stage, TestScenario

_LEVELS = "▁▂▃▄▅▆▇█"
_PLAIN_LEVELS = ".:-=+*#"


def print_timeline(plan: Plan, file: TextIO) -> None:
    """Print a plan, in colours and bars on a terminal, in plain ASCII elsewhere."""
    Console(file=file, highlight=False).print(Timeline(plan))


class Timeline:
    """A plan as rich draws it: bars over time, then a table; plain ASCII where the output is no terminal."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it in the width that there is."""
        plain = not options.is_terminal or options.ascii_only
        yield Text(_headline(self.plan), style="bold")
        yield Text()
        yield from _bars(self.plan, options.max_width, plain)
        yield Text()
        yield _table(self.plan, plain)
        yield from (Text(line, style="dim") for line in _footnotes(self.plan))
        for warning in self.plan.warnings:
            yield Text(f"warning: {warning}", style="yellow")


def _headline(plan: Plan) -> str:
    parts = [
        f"{plan.name}: {count_of(len(plan.scenarios), 'scenario')} in {_duration(plan.duration_seconds)}",
    ]
    if plan.estimates:
        runs = sum(guess.runs for guess in plan.estimates.values())
        requests = sum(guess.requests for guess in plan.estimates.values())
        parts.append(f"about {count_of(runs, 'run')} and {count_of(requests, 'request')}")
    return ", ".join(parts)


def _bars(plan: Plan, width: int, plain: bool) -> list[Text]:
    """Return an axis, and a bar for each scenario as high as its load is at the time; the warm-up is dim."""
    total_seconds = plan.duration_seconds
    spans = {scenario.name: _span(scenario, plain) for scenario in plan.scenarios}
    names_width = min(max(len(str(scenario.name)) for scenario in plan.scenarios), max(width // 4, 12))
    span_width = max(map(len, spans.values()))
    bar_width = max(width - names_width - span_width - 4, 10)
    levels = _PLAIN_LEVELS if plain else _LEVELS
    start, end = clock_of(0), clock_of(total_seconds)
    lines = [Text(" " * (names_width + 2) + start + end.rjust(bar_width - len(start)), style="dim")]
    for scenario in plan.scenarios:
        line = Text(_fitted(str(scenario.name), names_width, plain) + "  ")
        for column in range(bar_width):
            elapsed = (column + 0.5) * total_seconds / bar_width - scenario.start_seconds
            level = _level(scenario, elapsed)
            mark = levels[min(int(level * len(levels)), len(levels) - 1)] if level is not None else " "
            line.append(mark, style="dim cyan" if elapsed < scenario.warmup_seconds else "cyan")
        if line.plain.strip() == str(scenario.name):  # too short for a column of its own
            at = names_width + 2 + min(int(scenario.start_seconds / total_seconds * bar_width), bar_width - 1)
            line = line[:at] + Text(levels[-1], style="cyan") + line[at + 1 :]
        line.append(f"  {spans[scenario.name]}")
        lines.append(line)
    return lines


def _level(scenario: TestScenario, elapsed: float) -> float | None:
    """Return the load (0 to 1 of its highest) at a time since the scenario's start; None: there is none then."""
    if not 0 <= elapsed < scenario.run_seconds:
        return None
    if not scenario.stages:
        return 1.0
    ramps = stage_ramps(scenario.stages)
    highest = max(max(ramp.first, ramp.last) for ramp in ramps)
    level = next((ramp.level(elapsed) for ramp in ramps if ramp.start <= elapsed < ramp.end), 0.0)
    return level / highest if highest else 0.0


def _table(plan: Plan, plain: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    table.add_column("Scenario", overflow="fold")
    table.add_column("Mode", no_wrap=True)
    table.add_column("Load", overflow="fold")
    table.add_column("~ Runs", justify="right", no_wrap=True)
    table.add_column("~ Requests", justify="right", no_wrap=True)
    for scenario in plan.scenarios:
        guess = plan.estimates.get(str(scenario.name))
        table.add_row(
            str(scenario.name),
            scenario.mode_name,
            _load(scenario, plain),
            "" if guess is None else f"{guess.runs:,}",
            "" if guess is None else f"{guess.requests:,}",
        )
    return table


def _load(scenario: TestScenario, plain: bool) -> str:
    """Return what a scenario asks for, in a few words."""
    if scenario.stages:
        text = _levels(scenario.stages, " > " if plain else " → ")
    elif scenario.arrival_rate is not None:
        text = str(scenario.arrival_rate)
    else:
        text = count_of(scenario.num_times, scenario.mode_entry.noun)
    if scenario.rate is not None and scenario.arrivals == "poisson":
        text += " poisson"
    if scenario.cron is not None:
        text += f", {scenario.cron}"
    elif scenario.interval_seconds is not None:
        text += f", every {_duration(scenario.interval_seconds)}"
    return text


def _levels(stages: Sequence[Stage], arrow: str) -> str:
    """Return the levels that stages go through, a level that is held once."""
    levels = [] if stages[0].duration_seconds == 0 else ["0"]
    for stage in stages:
        if not levels or levels[-1] != str(stage.target):
            levels.append(str(stage.target))
    text = arrow.join(levels if len(levels) <= 5 else [*levels[:4], "..."])
    return text if isinstance(stages[0].target, Rate) else f"{text} slots"


def _footnotes(plan: Plan) -> list[str]:
    assumed = sorted({guess.seconds_per_run for guess in plan.estimates.values() if guess.seconds_per_run})
    if not assumed:
        return []
    spread = f"{assumed[0]:.3g}" if len(assumed) == 1 else f"{assumed[0]:.3g} to {assumed[-1]:.3g}"
    return [f"Estimates; a run is taken to last {spread} s, by the number of steps in a row."]


def _span(scenario: TestScenario, plain: bool) -> str:
    dash = "-" if plain else "–"
    return (
        f"{clock_of(scenario.start_seconds)}{dash}{clock_of(scenario.start_seconds + scenario.run_seconds)}"
    )


def _fitted(text: str, width: int, plain: bool) -> str:
    if len(text) <= width:
        return text.ljust(width)
    ellipsis = "~" if plain else "…"
    return text[: width - 1] + ellipsis


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"
