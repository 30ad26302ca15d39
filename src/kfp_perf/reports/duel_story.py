"""The report of a duel: the comparison of its pairs, and of one target with itself the noise of the system."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from kfp_perf.compare import Comparison, compare_sides, read_duel
from kfp_perf.errors import ExitCode, InputError
from kfp_perf.reports.comparison_distributions import read_times
from kfp_perf.reports.comparison_story import comparison_story
from kfp_perf.reports.comparison_words import overall
from kfp_perf.reports.story.blocks import Column, Facts, Section, Story, Table, Tone, VerdictBlock
from kfp_perf.reports.study_executions import (
    executions_section,
    failed_thresholds,
    study_ended,
    study_facts,
    study_verdict,
    target_of,
    thresholds_section,
)
from kfp_perf.statistics.comparison import WITHIN
from kfp_perf.statistics.variation import smallest_changes, variation_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kfp_perf.compare import MetricComparison
    from kfp_perf.result.study import Study

#: Numbers of pairs for which the smallest change that would be found is given.
PAIRS = (3, 5, 10, 20)


def comparison_of(study: Study) -> Comparison:
    """The comparison of the pairs of a duel. Raises `InputError` where no pair is complete."""
    baseline, new = read_duel(study)
    within = study.record.settings.get("within", WITHIN)
    return compare_sides(baseline, new, within=within, paired=True)


def study_document(study: Study) -> dict[str, Any]:
    """The plain values: `verdict` and `comparison`, as `kfp-perf compare` has them; null without a pair."""
    try:
        comparison = comparison_of(study)
    except InputError:
        return {"verdict": None, "comparison": None}
    return {"verdict": overall(comparison), "comparison": msgspec.to_builtins(comparison)}


def study_story(study: Study) -> Story:
    """The whole report."""
    facts = study_facts(study)
    try:
        comparison = comparison_of(study)
    except InputError as error:
        word, tone = study_verdict(study)
        sentence = str(error).splitlines()[0]
        return Story(
            title=f"{study.record.name}, duel",
            verdict=VerdictBlock(word, sentence, tone, caveats=study_ended(study)),
            facts=facts,
            tiles=(),
            sections=[executions_section(study)],
        )
    times = [
        read_times(side.name, map(Path, side.executions)) for side in (comparison.baseline, comparison.new)
    ]
    story = comparison_story(comparison, times)
    caveats = [*study_ended(study), *_failed(study), *story.verdict.caveats]
    compared = [one for one in story.sections if one.id != "executions"]
    failed = failed_thresholds(study)
    return replace(
        story,
        title=f"{study.record.name}, duel",
        verdict=replace(
            story.verdict,
            reasons=[*story.verdict.reasons, *failed],
            caveats=caveats,
            tone=Tone.BAD if failed else story.verdict.tone,
        ),
        facts=Facts([*_targets(study), *(pair for pair in facts.pairs if pair[0] != "Target")]),
        sections=[
            *thresholds_section(
                study, f"They are judged by the pairs; the baseline is {comparison.baseline.name}."
            ),
            *compared,
            *_noise(study, comparison),
            executions_section(study),
        ],
    )


def _targets(study: Study) -> Iterator[tuple[str, str]]:
    labels = study.record.settings.get("labels") or ["", ""]
    for name, label in zip(("Baseline", "New"), labels, strict=False):
        found = next((one for one in study.record.executions if one.label == label and one.target), None)
        emulated = found is not None and found.emulator_seed is not None
        target = "an emulator for each execution" if emulated else target_of(found) if found else "no result"
        yield name, f"{label}: {target}"


def _failed(study: Study) -> list[str]:
    failed = [one.number for one in study.record.counted if one.exit_code not in {ExitCode.GOOD, None}]
    return [f"Not passed: execution {', '.join(map(str, failed))}."] if failed else []


def _noise(study: Study, comparison: Comparison) -> Iterator[Section]:
    """Which change would be found with so many pairs, if they differ as these do."""
    deviations = [(one, _deviation(one)) for one in comparison.primary]
    known = [(one, found) for one, found in deviations if found]
    if not known:
        return
    columns = [Column("Data", is_number=False), *(Column(one.label) for one, _ in known)]
    changes = [
        smallest_changes(found, PAIRS, metrics=len(comparison.primary), paired=True) for _, found in known
    ]
    rows = [
        [f"{pairs} pairs", *(f"{found[place] * 100:.2g} %" for found in changes)]
        for place, pairs in enumerate(PAIRS)
    ]
    lead = (
        "Both sides are one target, so all differences are noise. "
        if study.record.settings.get("same_target")
        else ""
    )
    yield Section(
        "power",
        "Which change could be found?",
        f"{lead}The smallest change that a duel finds four times in five, if its pairs differ as these do.",
        [Table("Smallest change that is found with a power of 80 %", columns, rows)],
    )


def _deviation(metric: MetricComparison) -> float | None:
    """The relative standard deviation of the ratio of a pair; None where a value is missing."""
    pairs = [
        after / before
        for before, after in zip(metric.baseline.values, metric.new.values, strict=True)
        if before and after and before > 0.0 and after > 0.0 and math.isfinite(after / before)
    ]
    return variation_of(pairs).spread if len(pairs) == len(metric.new.values) and len(pairs) > 1 else None
