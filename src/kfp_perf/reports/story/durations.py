"""How long runs took: from due to visible success, and the duration of those that succeeded and executed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_perf.reports.document import dig
from kfp_perf.reports.few_runs import has_enough, is_beyond, statistic_of
from kfp_perf.reports.keeping_up import keeping_up
from kfp_perf.reports.quantities import brief_of, count_of, range_of, seconds_of, share_of
from kfp_perf.reports.story.blocks import (
    Block,
    Cell,
    Column,
    Figure,
    Noted,
    Prose,
    Section,
    Table,
    Tone,
    without_zeros,
)
from kfp_perf.reports.story.curves import duration_curves, visible_curves
from kfp_perf.reports.story.report_data import letter_of
from kfp_perf.statistics.quantiles import QUANTILES

if TYPE_CHECKING:
    from kfp_perf.reports.story.report_data import Material


def durations(material: Material) -> Section | None:
    """Times of runs, each with the runs that it is of."""
    runs = material.total["runs"]
    visible, duration = (dig(runs, key) or {} for key in ("visible_seconds", "duration_seconds"))
    if not visible.get("n") and not duration.get("n"):
        return None
    blocks: list[Block] = []
    if (chart := visible_curves(material)) is not None:
        blocks.append(Figure(chart, _NOTE))
    rows = _rows(material, "visible_seconds", _visible_row)
    if rows:
        blocks.append(Table(_VISIBLE_TITLE, _VISIBLE_COLUMNS, rows))
    blocks += _of_durations(material, duration)
    blocks += _remarks(material)
    return Section("durations", "How long did runs take?", _lead(visible, runs), blocks)


_NOTE = (
    "How to read it: which share of all runs due (left) had succeeded and been seen so within how long (below). "
    "A curve that ends below 100 % leaves out what did not succeed: no quantile beyond its end is reached."
)
_DURATION_NOTES = {
    "rank_last": " Runs that did not end rank above all that did; a quantile beyond a curve's end is not reached.",
    "censored": " Ticks on a curve are runs that were cut off with the test; each counts as longer than it was "
    "followed (Kaplan-Meier).",
}
_VISIBLE_TITLE = "From due to visible success, of all runs due (run.visible)"
_QUANTILE_COLUMNS = [Column(name) for name in QUANTILES]
_VISIBLE_COLUMNS = [
    Column("Scenario", is_number=False),
    Column("Runs due"),
    Column("Succeeded"),
    *_QUANTILE_COLUMNS,
    Column("Longest that succeeded"),
    Column("Mean of those"),
]
_DURATION_COLUMNS = [
    Column("Scenario", is_number=False),
    Column("Runs that succeeded and executed"),
    Column("Without an end"),
    *_QUANTILE_COLUMNS,
    Column("Longest that ended"),
    Column("Mean of those"),
]


def _rows(material: Material, key: str, row: Any) -> list[list[Cell]]:
    rows = [
        row(f"{letter_of(place)}  {one['name']}", dig(one, "metrics", "runs") or {})
        for place, one in enumerate(material.scenarios)
        if dig(one, "metrics", "runs", key)
    ]
    if len(rows) != 1 and dig(material.total, "runs", key):
        rows.append(row("All runs", material.total["runs"]))
    return rows


def _visible_row(name: str, runs: dict[str, Any]) -> list[Cell]:
    visible = dig(runs, "visible_seconds") or {}
    return [name, f"{visible.get('n', 0):,}", f"{runs.get('succeeded', 0):,}", *_statistics(visible)]


def _duration_row(name: str, runs: dict[str, Any]) -> list[Cell]:
    found = dig(runs, "duration_seconds") or {}
    without = _without_end(runs)
    return [name, f"{_ended(runs):,}", f"{without:,}", *_statistics(found)]


def _without_end(runs: dict[str, Any]) -> int:
    """How many runs without an end are counted in the durations: those that rank last, or that are censored."""
    how = runs.get("unfinished_runs")
    unfinished, cut_off = int(runs.get("unfinished") or 0), int(runs.get("cut_off") or 0)
    return unfinished + cut_off if how == "excluded" else cut_off if how == "censored" else unfinished


def _ended(runs: dict[str, Any]) -> int:
    """How many runs succeeded and executed, and have a duration."""
    found = dig(runs, "duration_seconds") or {}
    count = int(found.get("n") or 0)
    return count if runs.get("unfinished_runs") == "excluded" else max(0, count - _without_end(runs))


def _statistics(found: dict[str, Any]) -> list[Cell]:
    intervals = found.get("intervals") or {}
    return [
        *(_quantile(statistic_of(found, key, brief_of), intervals.get(key)) for key in QUANTILES),
        brief_of(found.get("longest_answered")),
        brief_of(found.get("mean")),
    ]


def _quantile(value: str, interval: list[float | None] | None) -> Cell:
    low, high = interval or (None, None)
    if low is None:
        return value
    return Noted(value, f"{brief_of(low)} or more" if high is None else range_of(low, high))


def _lead(visible: dict[str, Any], runs: dict[str, Any]) -> str:
    due, succeeded = int(runs.get("due") or 0), int(runs.get("succeeded") or 0)
    if not visible.get("n"):
        return "No run was due in the time that is measured, or all were cut off."
    rest = (
        f"{count_of(due - succeeded, 'run')} ({share_of((due - succeeded) / due)}) did not succeed"
        if due
        else ""
    )
    of = f"Of {count_of(due, 'run')} due"
    if is_beyond(visible, "p50"):
        return (
            f"{of}, {succeeded:,} were seen to succeed, so the median from due to visible success is not reached: "
            f"{rest}."
        )
    longest = seconds_of(visible.get("max"))
    if not has_enough(visible, "p50"):
        return f"The only run due was seen to succeed {longest} after it was due."
    lead = f"{of}, half were seen to succeed within {seconds_of(visible.get('p50'))} of when they were due"
    if not has_enough(visible, "p95"):
        return f"{lead}; {rest}." if is_beyond(visible, "max") else f"{lead}, all within {longest}."
    if is_beyond(visible, "p95"):
        return f"{lead}; the 95th percentile is not reached, as {rest}."
    return f"{lead}, 95 % within {seconds_of(visible.get('p95'))}."


def _of_durations(material: Material, duration: dict[str, Any]) -> list[Block]:
    """The durations by the server, of runs that succeeded and executed."""
    runs = material.total["runs"]
    blocks: list[Block] = []
    text = _duration_text(duration, runs, behind=any(one.behind for one in keeping_up(material.document)))
    if text:
        excluded = runs.get("unfinished_runs") == "excluded"
        blocks.append(Prose(text, Tone.WARNING if excluded else Tone.PLAIN))
    chart = duration_curves(material)
    if chart is not None:
        how = str(runs.get("unfinished_runs") or "none")
        note = "The same of the server's own time, for runs that succeeded and executed. Shaded: 95 % confidence."
        blocks.append(Figure(chart, note + _DURATION_NOTES.get(how, "")))
    rows = _rows(material, "duration_seconds", _duration_row)
    if rows:
        title = "Duration, from creation to finish, of runs that succeeded and executed (run.duration)"
        blocks.append(without_zeros(Table(title, _DURATION_COLUMNS, rows), "Without an end"))
    return blocks


def _duration_text(found: dict[str, Any], runs: dict[str, Any], *, behind: bool) -> str:
    ended, without = _ended(runs), _without_end(runs)
    if not ended:
        return "No run both succeeded and executed, so none has a duration." if runs.get("due") else ""
    these = f"the {count_of(ended, 'run')} that succeeded and executed"
    exact = _exactness(runs)
    if runs.get("unfinished_runs") == "excluded":
        longest = seconds_of(found.get("longest_answered"))
        why = "the load fell behind" if behind else "it is not known whether the load fell behind"
        return (
            f"{_capital(these)} took at most {longest} from creation to finish. They are no sample of all, as "
            f"{count_of(without, 'run')} did not end and {why}: run.duration has no quantiles and no mean. {exact}"
        )
    beside = {
        "rank_last": f", with the {without:,} unfinished ones above them",
        "censored": f", with the {without:,} that were cut off counted as longer than they were followed",
    }.get(str(runs.get("unfinished_runs")), "")
    half, most, longest = (seconds_of(found.get(key)) for key in ("p50", "p95", "max"))
    if not has_enough(found, "p50"):
        return f"{_capital(these)} took {longest} from creation to finish. {exact}"
    text = f"Of {these}{beside}, "
    if is_beyond(found, "p50"):
        text += "the median duration is not reached"
    else:
        text += f"half took no longer than {half} from creation to finish"
        if not has_enough(found, "p95"):
            text += "" if is_beyond(found, "max") else f", the longest {longest}"
        elif is_beyond(found, "p95"):
            text += "; the 95th percentile is not reached"
        else:
            text += f", 95 % no longer than {most}"
    return f"{text}. {exact}"


def _exactness(runs: dict[str, Any]) -> str:
    error = runs.get("duration_error_seconds")
    return (
        f"KFP gives whole seconds, so each duration is within {seconds_of(error)} of the truth."
        if error
        else ""
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


_OTHERS = (
    ("failed_duration_seconds", "failed"),
    ("cached_duration_seconds", "took all results from the cache"),
)
_CONFLICTS = {
    "finished_before_created": "finished before they were created",
    "started_before_created": "started before they were created",
    "finished_in_the_future": "were reported before they finished",
    "longer_than_followed": "lasted longer than they were followed",
}


def clock_conflicts(material: Material) -> list[Block]:
    """A paragraph on runs whose times contradict each other; it stands beside each figure that lacks them."""
    found = material.runs.clock_conflicts
    if not found:
        return []
    how = ", ".join(f"{times:,} {_CONFLICTS.get(kind, kind)}" for kind, times in found.most_common())
    return [
        Prose(
            f"{count_of(found.total(), 'run')} are left out of durations and of the phases queue and visible, "
            f"because their times contradict each other ({how}): the clocks of the API server and the workflow "
            "controller differ, and the times of other runs may be off by as much.",
            Tone.WARNING,
        )
    ]


def _remarks(material: Material) -> list[Block]:
    remarks: list[Block] = []
    for key, what in _OTHERS:
        found = dig(material.total, "runs", key) or {}
        if found.get("n"):
            longest = seconds_of(found["max"])
            those = f"{count_of(found['n'], 'run')} that {what}"
            remarks.append(
                Prose(
                    f"{those} are not among these durations: half of those took no longer than "
                    f"{seconds_of(found['p50'])}, the longest {longest}."
                    if has_enough(found, "p50")
                    else f"{those} is not among these durations: it took {longest}."
                )
            )
    remarks += clock_conflicts(material)
    trend = dig(material.total, "runs", "duration_trend")
    if isinstance(trend, dict) and trend.get("drifts"):
        remarks.append(
            Prose(
                "The duration of runs that succeeded and executed changed by "
                f"{seconds_of(trend.get('change_seconds'))} from the beginning of the test to its end "
                "(Theil-Sen), which "
                "is more than chance explains.",
                Tone.WARNING,
            )
        )
    return remarks
