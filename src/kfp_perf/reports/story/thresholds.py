"""Whether the thresholds were kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_perf.compare.baseline_words import executions_needed
from kfp_perf.reports.few_runs import few_runs
from kfp_perf.reports.quantities import between_of, clock_of, count_of, quantity_of
from kfp_perf.reports.story.blocks import Block, Cell, Column, Flag, Noted, Prose, Section, Table, Tone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kfp_perf.reports.story.report_data import Material


def thresholds(material: Material) -> Section | None:
    """Every threshold with value, bound and margin; those that failed first."""
    judged = judged_of(material.document.get("thresholds"))
    if not judged:
        return None
    defaults = sum(bool(one.get("default")) for one in judged)
    blocks: list[Block] = [thresholds_table(judged), *executions_to_tell(judged)]
    if defaults:
        blocks.append(
            Prose(
                "A default threshold holds where the file neither bounds its metric nor lifts it with null."
            )
        )
    blocks += [Prose(text) for text in few_runs(material.document)]
    return Section("thresholds", "Were the thresholds kept?", how_many_kept(judged), blocks)


def judged_of(found: Any) -> list[dict[str, Any]]:
    """The thresholds of a document, those that failed first; empty where it has none."""
    judged = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    return sorted(judged, key=lambda one: bool(one.get("passed")))


def how_many_kept(judged: Sequence[dict[str, Any]]) -> str:
    """How many thresholds were kept, in a sentence."""
    failed = sum(not one.get("passed") for one in judged)
    undecided = sum(one.get("judged") == "cannot be told" for one in judged if one.get("passed"))
    if failed:
        return f"{failed:,} of {count_of(len(judged), 'threshold')} failed."
    if undecided:
        kept = len(judged) - undecided
        return (
            f"{kept:,} of {count_of(len(judged), 'threshold')} kept; of the rest it cannot be told, which was "
            "accepted."
        )
    return f"{'All ' if len(judged) > 1 else ''}{count_of(len(judged), 'threshold')} kept."


def thresholds_table(judged: Sequence[dict[str, Any]]) -> Table:
    """A row for each threshold."""
    columns = [
        Column("Metric", is_number=False),
        Column("Condition", is_number=False),
        Column("Value"),
        Column("Margin"),
        Column("Values"),
        Column("Judgement", is_number=False),
    ]
    minor = [place for place, one in enumerate(judged) if one.get("default") and one.get("passed")]
    return Table(
        "Thresholds, those that failed first",
        columns,
        [_row(one) for one in judged],
        minor=minor,
        minor_title=f"{count_of(len(minor), 'default threshold')} kept",
    )


def _row(one: dict[str, Any]) -> list[Cell]:
    count = one.get("count")
    passed, reason = bool(one.get("passed")), _brief_reason(one)
    if passed:
        kept = Flag(f"accepted: {reason}", Tone.WARNING) if reason else Flag("kept", Tone.GOOD)
    else:
        kept = Flag(reason or "failed", Tone.BAD)
    of = str(one.get("scenario") or "the whole test")
    if one.get("aborted"):
        kept = Flag(f"{one.get('reason')}: it ended the test", Tone.BAD)
    return [
        Noted(str(one.get("metric")), f"{of}, default" if one.get("default") else of),
        _condition(one),
        _value(one),
        _margin(one),
        f"{count:,}" if isinstance(count, int) else "–",
        kept,
    ]


def _brief_reason(one: dict[str, Any]) -> str:
    """Why it was not kept; without the interval and the bound of a baseline, which stand beside it."""
    baseline = one.get("baseline")
    if not one.get("reason") or not isinstance(baseline, dict) or baseline.get("change_interval") is None:
        return str(one.get("reason") or "")
    return str(one.get("judged"))


def executions_to_tell(judged: Sequence[dict[str, Any]]) -> list[Block]:
    """How many executions would do, for each threshold that cannot be told from run-to-run variation."""
    found: list[Block] = []
    for one in judged:
        baseline = one.get("baseline")
        needed = (
            executions_needed(baseline.get("executions_needed"), paired=bool(baseline.get("paired")))
            if isinstance(baseline, dict)
            else ""
        )
        if needed:
            found.append(Prose(f"{one.get('metric')} cannot be told from run-to-run variation: {needed}."))
    return found


def _condition(one: dict[str, Any]) -> Cell:
    """The condition, and below it the baseline's value and the bound where it is relative to them."""
    baseline, unit = one.get("baseline"), one.get("unit")
    if not isinstance(baseline, dict) or one.get("bound") is None:
        return str(one.get("condition"))
    executions = count_of(int(baseline.get("executions") or 0), "execution")
    value, bound = quantity_of(baseline.get("value"), unit), quantity_of(one["bound"], unit)
    return Noted(str(one.get("condition")), f"baseline {value} ({executions}), bound {bound}")


def _value(one: dict[str, Any]) -> Cell:
    """The value, and below it its window, or its confidence interval where both ends are known."""
    if isinstance(between := one.get("between"), list) and len(between) == 2:
        return between_of(between[0], between[1], one.get("unit"))
    value, ends = quantity_of(one.get("value"), one.get("unit")), one.get("interval")
    if one.get("not_reached"):
        value = "not reached"
    window = one.get("window")
    if isinstance(window, list) and all(isinstance(at, int | float) for at in window) and len(window) == 2:
        return Noted(value, f"worst, {clock_of(window[0])} to {clock_of(window[1])} min")
    if one.get("not_reached"):
        return value
    if not isinstance(ends, list) or any(not isinstance(end, int | float) for end in ends):
        return value
    return Noted(value, " to ".join(quantity_of(end, one.get("unit")) for end in ends))


def _margin(one: dict[str, Any]) -> Cell:
    """The margin, and below it the error of the value where that could have made it another judgement."""
    margin, error = one.get("margin"), one.get("error")
    told = quantity_of(margin, one.get("unit"))
    if not isinstance(margin, int | float) or not isinstance(error, int | float) or abs(margin) >= error:
        return told
    return Noted(told, f"off by up to {quantity_of(error, one.get('unit'))}")
