"""The summary at the end of a test, for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kfp_perf.reports.beside_runs import beside_runs
from kfp_perf.reports.document import complete, dig, ended_early, target_of
from kfp_perf.reports.failures import failures_of
from kfp_perf.reports.few_runs import few_runs, statistic_of
from kfp_perf.reports.keeping_up import keeping_up, went_badly
from kfp_perf.reports.left_behind import cleanup_command, stays
from kfp_perf.reports.operations import PURPOSES, operations_of, rows_of
from kfp_perf.reports.plain_text import WIDE, plain_text
from kfp_perf.reports.quantities import (
    between_of,
    brief_of,
    clock_of,
    condition_of,
    count_of,
    quantity_of,
    share_of,
)
from kfp_perf.scenario.modes import MODES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import TextIO

    from rich.console import RenderableType

    from kfp_perf.result.reader import TestResult

_VERDICT_STYLES = {
    0: "bold green",
    **dict.fromkeys((1, 2, 3), "bold red"),
    4: "bold yellow",
    5: "bold magenta",
}
#: Built-in modes that start no runs; a mode of a plug-in may start some.
_WITHOUT_RUNS = frozenset(mode.name for mode, entry in MODES.items() if not entry.starts_runs)
#: Runs that neither succeeded nor failed, in one column.
_LOST = ("refused", "lost", "unfinished", "never_started")
#: On a narrow terminal, operations for these purposes are shown only where some failed.
_BESIDE_THE_LOAD = ("setup", "cleanup")
_MOST_LEFTOVERS = 10
_MOST_REASONS = 3


def print_summary(result: TestResult, file: TextIO) -> None:
    """Print the summary: verdict first, then runs, then the API, then what else there is to say."""
    console = Console(file=file, highlight=False)
    console.print(Group(*_parts(result, console.width)), crop=False)


def draw_console(result: TestResult) -> dict[str, bytes]:
    """The summary as plain text, 100 columns wide."""
    return {"summary.txt": plain_text(Group(*_parts(result, WIDE)))}


def _parts(result: TestResult, width: int) -> Iterator[RenderableType]:
    document, missing = complete(result.document)
    yield Text()
    yield _verdict(document)
    yield from _reasons(document)
    if missing:
        yield Text(f"! this result is not whole, it lacks {', '.join(missing)}", style="yellow")
    yield from _thresholds(document)
    yield from _runs(document, wide=width >= WIDE)
    yield from _beside_runs(document)
    yield Text()
    yield _api(document, wide=width >= WIDE)
    yield Text(
        "latency: from when an operation was due to the end of its last attempt; what was not answered ranks above "
        "all that was. –: too few values",
        style="dim",
    )
    yield from _notes(document)
    yield from _left_behind(result, document["leftovers"])
    yield Text()
    # Once more: the beginning may have scrolled away.
    yield Text.assemble("Verdict ", (document["verdict"]["text"], _style(document)))
    # In one piece, to be copied.
    yield Text.assemble("Result  ", (str(result.path), "bold"), no_wrap=True, overflow="ignore")


def _verdict(document: Mapping[str, Any]) -> Text:
    verdict, target = document["verdict"], document["target"]
    text = Text.assemble(
        (document["name"], "bold"),
        "  ",
        (verdict["text"], _style(document)),
        f"  after {clock_of(document['elapsed_seconds'])}",
    )
    if verdict["emulator"]:
        profile = target["emulator_profile"]
        named = f" (profile {profile})" if profile else ""
        text.append(f"\non {target_of(document)}{named}: figures of a model, not of a cluster", "yellow")
    else:
        version = f" (KFP {target['version']})" if target["version"] else ""
        text.append(f"\non {target_of(document)}{version}")
    return text


def _style(document: Mapping[str, Any]) -> str:
    code = document["verdict"]["exit_code"]
    return "bold yellow" if code == 0 and went_badly(document) else _VERDICT_STYLES.get(code, "bold")


def _reasons(document: Mapping[str, Any]) -> Iterator[Text]:
    for reason in document["verdict"]["reasons"]:
        yield Text(f"✗ {reason}", style="red")
    if early := ended_early(document):
        yield Text(early, style="yellow")


def _thresholds(document: Mapping[str, Any]) -> Iterator[RenderableType]:
    """A row for each threshold; default ones that were kept together in a line."""
    judged = document.get("thresholds")
    if not isinstance(judged, list) or not judged:
        return
    kept = [one for one in judged if one.get("default") and one.get("passed")]
    rows = [one for one in judged if one not in kept]
    yield Text()
    if rows:
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
        table.add_column("thresholds", overflow="fold")
        for title in ("value", "margin"):
            table.add_column(title, justify="right", no_wrap=True)
        table.add_column("", no_wrap=True)
        for one in rows:
            table.add_row(*_threshold_row(one))
        yield table
    if kept:
        yield Text(f"✓ {count_of(len(kept), 'default threshold')} kept", style="green")


def _threshold_value(one: Mapping[str, Any]) -> str:
    if one.get("not_reached"):
        return "not reached"
    if isinstance(between := one.get("between"), list) and len(between) == 2:
        return between_of(between[0], between[1], one.get("unit"))
    return quantity_of(one.get("value"), one.get("unit"))


def _threshold_row(one: Mapping[str, Any]) -> list[RenderableType]:
    sign, style = ("✓", "green") if one.get("passed") else ("✗", "red")
    if one.get("passed") and one.get("judged") == "cannot be told":
        sign, style = "?", "yellow"
    of = f"{one['scenario']}: " if one.get("scenario") else ""
    default = " (default)" if one.get("default") else ""
    return [
        f"{of}{one.get('metric')} {condition_of(one)}{default}",
        _threshold_value(one),
        quantity_of(one.get("margin"), one.get("unit")),
        Text(f"{sign} {one.get('judged', '')}".strip(), style=style),
    ]


def _runs(document: Mapping[str, Any], *, wide: bool) -> Iterator[RenderableType]:
    """Two lines a scenario: from due to visible success of all runs due, and below it the duration."""
    scenarios = [
        (one["name"], one["metrics"].get("runs", {}))
        for one in document["scenarios"]
        if one["mode"] not in _WITHOUT_RUNS
    ]
    if not scenarios:
        return
    statistics = ("p50", "p95", "p99", "max") if wide else ("p50", "p95", "p99")
    table = Table(box=None, padding=(0, 2 if wide else 1, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("runs", overflow="fold", max_width=24)
    cut_off = ("cut off",) if document["total"]["runs"].get("cut_off") else ()
    for title in ("due", "succeeded", "failed", "lost", *cut_off, *statistics):
        table.add_column(title, justify="right", no_wrap=True)
    rows = [*scenarios, ("in all", document["total"]["runs"])] if len(scenarios) > 1 else scenarios
    for place, (name, runs) in enumerate(rows):
        last = place == len(rows) - 1 and len(rows) > 1
        row = _run_row(name, runs, statistics, cut_off=bool(cut_off))
        table.add_row(*row, style="bold" if last else "")
        times = runs.get("duration_seconds")
        if times and runs.get("unfinished_runs") != "excluded":
            cells = (statistic_of(times, key, brief_of) for key in statistics)
            table.add_row("  duration", *[""] * (4 + len(cut_off)), *cells, style="dim")
    yield Text()
    yield table
    error = document["total"]["runs"].get("duration_error_seconds")
    within = f", each within {brief_of(error)}" if error else ""
    yield Text(
        "times: from due to visible success, of all runs due; what did not succeed ranks above all that did. "
        f"duration: creation to finish by the server's clocks, of runs that succeeded and executed{within}",
        style="dim",
    )
    for one in keeping_up(document):
        yield Text(f"{one.scenario}: {one.text}", style="red" if one.behind else "")


def _beside_runs(document: Mapping[str, Any]) -> Iterator[RenderableType]:
    phrases = [
        (one["name"], phrase) for one in document["scenarios"] for phrase in beside_runs(one["metrics"])
    ]
    if phrases:
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(overflow="fold", max_width=24)
        for name, phrase in phrases:
            table.add_row(name, phrase)
        yield Text()
        yield table


def _run_row(
    name: str, runs: Mapping[str, Any], statistics: Iterable[str], *, cut_off: bool
) -> list[RenderableType]:
    lost = sum(runs.get(outcome, 0) for outcome in _LOST)
    times = runs.get("visible_seconds") or {}
    return [
        name,
        f"{runs.get('due', 0):,}",
        Text(f"{runs.get('succeeded', 0):,}", style="green" if runs.get("succeeded") else "dim"),
        Text(f"{runs.get('failed', 0):,}", style="red" if runs.get("failed") else "dim"),
        Text(f"{lost:,}", style="yellow" if lost else "dim"),
        *([f"{runs.get('cut_off', 0):,}"] if cut_off else []),
        *(statistic_of(times, key, brief_of) for key in statistics),
    ]


def _api(document: Mapping[str, Any], *, wide: bool) -> Table:
    """The operations; on a narrow terminal without their attempts, which the notes on errors have."""
    table = Table(box=None, padding=(0, 2 if wide else 1, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("API", no_wrap=True, overflow="ellipsis", max_width=36)
    counted = ("number", "attempts", "errors") if wide else ("number", "errors")
    for title in (*counted, "p50", "p95", "p99", "max"):
        table.add_column(title, justify="right", no_wrap=True)
    api = document["total"]["api"]
    for purpose, words in PURPOSES.items():
        found, title = rows_of(api, purpose), words if purpose != "load" else ""
        if purpose in _BESIDE_THE_LOAD and not wide:
            found = {name: one for name, one in found.items() if one["errors"]}
        if found and title:
            table.add_row(Text(title, style="dim italic"))
        for name, operation in found.items():
            times = operation["latency_seconds"]
            rate = operation["error_rate"]
            whole, _, variant = name.partition(".")
            shown = f"  {variant}" if variant else whole
            table.add_row(
                f"  {shown}" if title else shown,
                f"{operation['count']:,}",
                *([f"{operation['attempts']:,}"] if wide else []),
                Text(share_of(rate), style="red" if rate else "dim"),
                *(statistic_of(times, key, brief_of) for key in ("p50", "p95", "p99", "max")),
                style="dim" if title else "",
            )
    return table


def _notes(document: Mapping[str, Any]) -> Iterator[RenderableType]:
    notes = [
        *(
            f"{count_of(count, 'unfinished run')}: still in flight at the end"
            for count in [document["total"]["runs"].get("unfinished")]
            if count
        ),
        *(_excluded(document) if dig(document, "total", "runs", "unfinished_runs") == "excluded" else ()),
        *few_runs(document),
        *(f"{one['name']}: {warning}" for one in document["scenarios"] for warning in one["warnings"]),
        *document["warnings"],
        *_failed_runs(document),
        *_error_notes(document),
    ]
    if notes:
        yield Text()
        yield from (Text(f"! {note}", style="yellow") for note in notes)


def _excluded(document: Mapping[str, Any]) -> Iterator[str]:
    behind = any(one.behind for one in keeping_up(document))
    why = "the load fell behind" if behind else "it is not known whether the load fell behind"
    yield f"no quantiles of durations in all: runs did not end and {why}, so those that ended are no sample of all"


def _left_behind(result: TestResult, leftovers: list[str]) -> Iterator[RenderableType]:
    if leftovers:
        yield Text()
        yield Text(f"{count_of(len(leftovers), 'object')} could not be deleted:", style="yellow")
        yield Padding(Text("\n".join(leftovers[:_MOST_LEFTOVERS])), (0, 0, 0, 2))
        if len(leftovers) > _MOST_LEFTOVERS:
            yield Text(f"  and {len(leftovers) - _MOST_LEFTOVERS} more, see result.json")
    if stay := stays(result):
        yield Text()
        yield Text(f"{stay}.", style="yellow")
    if leftovers or stay:
        # A line of its own, to be copied.
        yield Text(f"Delete with  {cleanup_command(result)}", no_wrap=True, overflow="ignore")


def _failed_runs(document: Mapping[str, Any]) -> Iterator[str]:
    found = failures_of(document["total"]["runs"])
    for failure in found[:_MOST_REASONS]:
        yield f"{count_of(failure.times, 'run')} {failure.kind_in_words}: {failure.message}"
    if len(found) > _MOST_REASONS:
        rest = sum(failure.times for failure in found[_MOST_REASONS:])
        yield f"{count_of(rest, 'more run')} that did not succeed, for other reasons: see the report"


def _error_notes(document: Mapping[str, Any]) -> Iterator[str]:
    for purpose, title in PURPOSES.items():
        apart = f"{title}: " if purpose != "load" else ""
        for name, operation in operations_of(document["total"]["api"], purpose).items():
            if operation["errors"]:
                kinds = ", ".join(f"{count} × {kind}" for kind, count in operation["errors_by_kind"].items())
                unknown = (
                    f"; {operation['unknown']} of them may have been done on the server"
                    if operation["unknown"]
                    else ""
                )
                message = next((failure.message for failure in failures_of(operation)), "")
                mostly = f"; mostly: {message}" if message else ""
                retried = (
                    f", retried {count_of(retries, 'time')}" if (retries := operation["retries"]) else ""
                )
                failed = f"{name} failed {count_of(operation['errors'], 'time')}"
                yield f"{apart}{failed} ({kinds}){retried}{unknown}{mostly}"
