"""Twelve kinds of result: the page is consistent with itself and with the figures."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
import pytest
from kinds_of_result import CLOCKS, KINDS, make_kind

from kfp_perf.reports import REPORTS
from kfp_perf.reports.console import draw_console
from kfp_perf.reports.quantities import brief_of, seconds_of
from kfp_perf.reports.story import story_of
from kfp_perf.reports.story.blocks import Items, Prose, Table, Tone
from kfp_perf.result.records import Outcome

if TYPE_CHECKING:
    from pathlib import Path

    from kfp_perf.reports.story.blocks import Story
    from kfp_perf.result.reader import TestResult


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, TestResult]:
    return request.param, make_kind(tmp_path, *KINDS[request.param])


def words(story: Story) -> str:
    """All sentences of a story: verdict, leads, paragraphs, lists and tiles."""
    told = [story.verdict.word, story.verdict.sentence, *story.verdict.reasons, *story.verdict.caveats]
    told += [f"{tile.value} {tile.name} {tile.detail}" for tile in story.tiles]
    for section in story.sections:
        told.append(section.lead)
        for block in section.blocks:
            if isinstance(block, Prose):
                told.append(block.text)
            elif isinstance(block, Items):
                told += block.texts
            elif isinstance(block, Table):
                told.append(block.caption)
    return "\n".join(told)


def tables(story: Story, section: str) -> dict[str, Table]:
    return {
        block.caption: block
        for one in story.sections
        if one.id == section
        for block in one.blocks
        if isinstance(block, Table)
    }


def column(table: Table, title: str) -> list[str]:
    place = [one.title for one in table.columns].index(title)
    return [str(row[place]) for row in table.rows]


def test_sentences_are_about_numbers_that_there_are(kind: tuple[str, TestResult]) -> None:
    _, result = kind
    page = REPORTS["html"].draw(result)["report.html"].decode()
    markdown, summary = (
        next(iter(REPORTS[name].draw(result).values())).decode() for name in ("markdown", "console")
    )
    for text in (
        words(story_of(result)),
        re.sub(r"<[^>]*>", " ", page.split("</style>")[1]),
        markdown,
        summary,
    ):
        assert not re.search(r"(than|within|took) (not reached|–)", text)
        assert not re.search(r"\b(nan|inf|None)\b", text)
        assert not re.search(r"-\d+(\.\d+)? (m?s|us|min)\b", text), "no time below zero"


def test_the_median_is_that_of_all_runs_due_everywhere(kind: tuple[str, TestResult]) -> None:
    _, result = kind
    story, runs = story_of(result), result.document["total"]["runs"]
    visible = runs.get("visible_seconds") or {}
    tiles = [tile for tile in story.tiles if tile.name.endswith("from due to visible success")]
    assert bool(tiles) is bool(visible)
    if not visible:
        return
    assert story.tiles[0] is tiles[0], "what a user waits comes first"
    lead = next(one.lead for one in story.sections if one.id == "durations")
    reached = visible["p50"] is not None
    several = visible["n"] > 1
    assert tiles[0].name.startswith("median") is several
    assert ("half were seen to succeed" in lead) is (reached and several)
    assert tiles[0].value == (brief_of(visible["p50"]) if reached else "not reached")
    assert seconds_of(visible["p50"]) in lead if reached else "is not reached" in lead
    assert (f"Of {runs['due']:,} run" if several else "The only run due") in lead
    (row,) = [
        line.split()
        for line in draw_console(result)["summary.txt"].decode().splitlines()
        if line[:5] == "load "
    ]
    assert " ".join(row).startswith(f"load {runs['due']} {runs['succeeded']} {runs['failed']}")
    assert tiles[0].value in " ".join(row)


def test_durations_are_of_runs_that_succeeded_and_executed(kind: tuple[str, TestResult]) -> None:
    _, result = kind
    story, runs = story_of(result), result.document["total"]["runs"]
    executed = [
        one.duration_seconds
        for one in result.runs()
        if one.outcome is Outcome.SUCCEEDED and not one.cached and not one.warmup and one.duration_seconds
    ]
    excluded = runs.get("unfinished_runs") == "excluded"
    charts = [chart.name for chart in story.charts()]
    assert ("durations" in charts) is (bool(executed) and not excluded)
    assert any("run.duration" in tile.name for tile in story.tiles) is (
        bool(runs.get("duration_seconds")) and not excluded
    )
    text = words(story)
    if not executed:
        assert "took no longer than" not in text or "are not among these durations" in text
        return
    noun = "run" if len(executed) == 1 else "runs"
    assert f"the {len(executed):,} {noun} that succeeded and executed" in text.lower()
    if excluded:
        assert f"took at most {seconds_of(max(executed))}" in text
        assert "no sample of all" in text
        assert "half took no longer" not in text
    for title, table in tables(story, "durations").items():
        for longest, mean in zip(
            column(table, table.columns[-2].title), column(table, "Mean of those"), strict=True
        ):
            assert mean == "–" or float(mean.split()[0]) <= float(longest.split()[0]), title


def test_runs_without_an_end_are_counted_by_their_last_state(kind: tuple[str, TestResult]) -> None:
    name, result = kind
    runs = result.document["total"]["runs"]
    expected = (runs.get("unfinished") or 0) + (runs.get("cut_off") or 0)
    found = [
        table for title, table in tables(story_of(result), "keeping-up").items() if "without an end" in title
    ]
    assert bool(found) is bool(expected), name
    for table in found:
        assert sum(map(int, column(table, "Runs"))) == expected
        assert f"The {expected} run" in table.caption


def test_submit_is_of_all_created_runs_and_the_other_phases_of_survivors(
    kind: tuple[str, TestResult],
) -> None:
    _, result = kind
    story = story_of(result)
    records = [one for one in result.runs() if not one.warmup]
    created = sum(
        1 for one in records if one.created and (one.sent or "submit" in one.phases) and not one.cached
    )
    survivors = sum(1 for one in records if one.outcome is Outcome.SUCCEEDED and not one.cached)
    for table in tables(story, "phases").values():
        if table.columns[0].title != "Phase":
            continue
        counts = dict(zip([str(row[0]) for row in table.rows], column(table, "Runs"), strict=True))
        assert set(counts.values()) - {str(survivors)} <= {str(created), str(len(records))}
        if survivors < created:
            assert table.groups
            assert table.rows[0][0] == "submit"
    if survivors and any(one.id == "phases" for one in story.sections):
        lead = next(one.lead for one in story.sections if one.id == "phases")
        assert f"{survivors} run" in lead
        assert "succeeded and executed" in lead


def test_nothing_green_where_most_runs_did_not_succeed(kind: tuple[str, TestResult], tmp_path: Path) -> None:
    name, result = kind
    verdict = story_of(result).verdict
    bad = {"all fail", "all unfinished", "half"}
    tones = {"interrupted": Tone.WARNING, "killed": Tone.WARNING, "invalid": Tone.WARNING, "none": Tone.GOOD}
    assert verdict.tone is tones.get(name, Tone.BAD if name in bad else Tone.GOOD)
    if name in bad:
        lifted = story_of(make_kind(tmp_path / "lifted", *KINDS[name], lifted=True)).verdict
        assert (lifted.word, lifted.tone) == ("Passed", Tone.WARNING), "an overload on purpose"
        assert re.search(r"\b(\d+) of \d+ runs succeeded", lifted.sentence)


#: What is said of each kind, and what is not.
SAID: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "none": ((), ("succeeded and executed", "behind")),
    "all fail": (
        ("0 of 40 runs succeeded", "40 failed", "not reached", "No run both succeeded and executed"),
        ("without an end",),
    ),
    "all unfinished": (
        ("It is not known whether the server fell behind", "The 40 runs without an end (40 unfinished)"),
        ("behind since",),
    ),
    "half": (
        (
            "behind since",
            "created and not reported as running: from",
            "waiting for CreateRun's answer: from",
            "ClientQPS",
        ),
        ("The largest phase",),
    ),
    "one run": (("The only run succeeded", "with 1 run due, a single one"), ("not reached",)),
    "cached only": (("took all results from the cache", "All 40 runs succeeded"), ("with the",)),
    "interrupted": (
        ("Stopped", "by you", "cut off", "counted as longer than they were followed"),
        ("unfinished ones above",),
    ),
    "killed": (("killed before its end", "succeeded"), ("cut off",)),
    "warm-up only": ((), ("not reached", "Of 40")),
    "schedules only": (("4 slots",), ("closed",)),
    "reads only": (("9 operations of the load, and no runs",), ("visible", "phase")),
    "invalid": (("Invalid", "95 % of a core", "describe it more than KFP"), ()),
}


def test_each_kind_says_what_it_is(kind: tuple[str, TestResult]) -> None:
    name, result = kind
    text = words(story_of(result))
    said, unsaid = SAID[name]
    for phrase in said:
        assert phrase in text, text
    for phrase in unsaid:
        assert phrase not in text, text


def test_what_gave_way_is_where_the_number_of_runs_grew(tmp_path: Path) -> None:
    """The runs that ended waited for their tasks; but those that did not were not even reported as running."""
    story = story_of(make_kind(tmp_path, *KINDS["half"]))
    (section,) = [one for one in story.sections if one.id == "keeping-up"]
    (grown,) = [block for block in section.blocks if isinstance(block, Items)]
    assert grown.texts[0].startswith("created and not reported as running: from ")
    (chart,) = [chart for chart in story.charts() if chart.name == "in-flight"]
    assert 'class="moment"' in chart.draw(960)[0]


def test_runs_whose_clocks_contradict_are_said_where_the_figures_are(tmp_path: Path) -> None:
    story = story_of(make_kind(tmp_path, CLOCKS, {}, {}))
    for name in ("durations", "phases"):
        (section,) = [one for one in story.sections if one.id == name]
        told = [block.text for block in section.blocks if isinstance(block, Prose)]
        assert sum("3 finished before they were created" in text for text in told) == 1
    assert msgspec.json.encode(story.verdict.sentence)
