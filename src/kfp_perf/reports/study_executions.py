"""What the reports of all studies share: the list of executions, and how the study ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_perf.errors import ExitCode
from kfp_perf.hosts import titled
from kfp_perf.reports.quantities import count_of, quantity_of, span_of
from kfp_perf.reports.story.blocks import Column, Facts, Flag, Hyperlink, Section, Table, Tone
from kfp_perf.reports.story.thresholds import executions_to_tell, how_many_kept, judged_of, thresholds_table
from kfp_perf.result.files import EXECUTIONS_FOLDER
from kfp_perf.result.timestamps import epoch_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kfp_perf.compare import RepeatedMetric
    from kfp_perf.reports.story.blocks import Cell
    from kfp_perf.result.study import ExecutionRecord, Study

_TONES = {
    ExitCode.GOOD: Tone.GOOD,
    ExitCode.INTERRUPTED: Tone.WARNING,
    ExitCode.INVALID: Tone.WARNING,
}
_WORDS = {
    ExitCode.GOOD: "Passed",
    ExitCode.FAILED: "Failed",
    ExitCode.BAD_INPUT: "Failed",
    ExitCode.TARGET: "Target failed",
    ExitCode.INTERRUPTED: "Stopped",
    ExitCode.INVALID: "Invalid",
}


def study_verdict(study: Study) -> tuple[str, Tone]:
    """The outcome of a study in a word."""
    record = study.record
    if record.exit_code is None:
        return "Not finished", Tone.WARNING
    code = ExitCode(record.exit_code)
    return _WORDS[code], _TONES.get(code, Tone.BAD)


def study_ended(study: Study) -> list[str]:
    """Why a study ended before its design did; empty where it did not."""
    record = study.record
    if not record.finished:
        return ["The study did not reach its end; these are the executions that did."]
    return [record.ended] if record.ended else []


def target_of(execution: ExecutionRecord) -> str:
    """The target of an execution: its address, with its name before it where it was chosen by that."""
    return titled(execution.target_name, execution.target)


def study_facts(study: Study) -> Facts:
    """How many executions there are, when, and where."""
    record = study.record
    warmups = sum(one.warmup for one in record.executions)
    counted = count_of(len(record.counted), "execution")
    targets = dict.fromkeys(target_of(one) for one in record.executions if one.target)
    pairs: list[tuple[str, Cell]] = [
        (
            "Executions",
            f"{counted}, and {warmups} warm-ups that do not count"
            if warmups > 1
            else f"{counted}, and a warm-up that does not count"
            if warmups
            else counted,
        ),
        ("Started", record.started[:19].replace("T", " ") + " UTC"),
    ]
    if record.finished:
        pairs.append(("Took", span_of(_seconds_between(record.started, record.finished))))
    if any(one.emulator_seed is not None for one in record.executions):
        pairs.append(("Target", "an emulator for each execution, with its own seed"))
    elif targets:
        pairs.append(("Target", ", ".join(targets)))
    pairs.append(("Folder", str(study.path)))
    return Facts(pairs)


def failed_thresholds(study: Study) -> list[str]:
    """A sentence for each threshold that the study itself judged, and that failed."""
    judged = judged_of(study.record.answer.get("thresholds"))
    return [f"{one.get('metric')} {one.get('reason')}." for one in judged if not one.get("passed")]


def thresholds_section(study: Study, how: str) -> Iterator[Section]:
    """Yield the thresholds that the study itself judged, if any; `how` is a sentence on them."""
    if judged := judged_of(study.record.answer.get("thresholds")):
        blocks = [thresholds_table(judged), *executions_to_tell(judged)]
        yield Section("thresholds", "Were the thresholds kept?", f"{how_many_kept(judged)} {how}", blocks)


def executions_section(
    study: Study, primary: Sequence[RepeatedMetric] = (), folders: Sequence[str] = ()
) -> Section:
    """The list of executions, each with its outcome, the primary metrics, and a link to its own report.

    `folders` are those of the executions in the order of the metrics' values.
    """
    labelled = any(one.label for one in study.record.executions)
    seeded = any(one.emulator_seed is not None for one in study.record.executions)
    columns = [
        Column("Execution", is_number=False),
        *([Column("Label", is_number=False)] if labelled else []),
        *([Column("Seed")] if seeded else []),
        *(Column(one.label) for one in primary),
        Column("Outcome", is_number=False),
        Column("Took"),
    ]
    places = {folder: place for place, folder in enumerate(folders)}
    rows: list[list[Cell]] = []
    for one in study.record.executions:
        place = places.get(one.folder)
        rows.append(
            [
                Hyperlink(
                    f"{one.number}{' (warm-up)' if one.warmup else ''}",
                    f"{EXECUTIONS_FOLDER}/{one.folder}/report.html",
                ),
                *([one.label] if labelled else []),
                *(["–" if one.emulator_seed is None else str(one.emulator_seed)] if seeded else []),
                *(_value(metric, place) for metric in primary),
                _outcome(one),
                span_of(_seconds_between(one.started, one.finished)) if one.finished else "–",
            ]
        )
    failed = [one for one in study.record.executions if one.exit_code]
    lead = f"{count_of(len(failed), 'execution')} did not pass." if failed else ""
    return Section("executions", "Which executions were there?", lead, [Table("Executions", columns, rows)])


def _value(metric: RepeatedMetric, place: int | None) -> str:
    if place is None:
        return "–"
    value = metric.values[place]
    return "not reached" if value is None else quantity_of(value, metric.unit)


def _outcome(one: ExecutionRecord) -> Flag:
    if one.exit_code is None:
        return Flag("did not reach its end", Tone.WARNING)
    return Flag(one.verdict, _TONES.get(ExitCode(one.exit_code), Tone.BAD))


def _seconds_between(started: str, finished: str) -> float:
    return max(0.0, (epoch_of(finished) or 0.0) - (epoch_of(started) or 0.0))
