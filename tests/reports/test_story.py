from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from sample_results import STARTED, Load, SampleTest

from kfp_perf.reports.console import draw_console
from kfp_perf.reports.run_states import RUNNING, levels
from kfp_perf.reports.story import SECTIONS, story_of
from kfp_perf.reports.story.blocks import (
    Column,
    Figure,
    Flag,
    Hyperlink,
    Items,
    Noted,
    Prose,
    Table,
    Tone,
    without_zeros,
)
from kfp_perf.reports.story.report_data import read_material
from kfp_perf.reports.webpage import draw_webpage
from kfp_perf.result.reader import TestResult
from kfp_perf.result.records import Outcome, RunRecord

if TYPE_CHECKING:
    from kfp_perf.reports.story.blocks import Cell, Section, Story

Sample = Any
ONE = (Load("steady", 20, 0.0, 60.0, 10.0),)


def section(story: Story, name: str) -> Section:
    return next(section for section in story.sections if section.id == name)


def table(story: Story, name: str, title: str = "") -> Table:
    return next(
        block for block in section(story, name).blocks if isinstance(block, Table) and title in block.caption
    )


@pytest.mark.parametrize(
    ("code", "reasons", "word", "tone", "sentence"),
    [
        (0, [], "Passed", Tone.GOOD, r"All 20 runs succeeded in \d+ min \d+ s\."),
        (
            1,
            ["p95 is 152 s, not < 120s", "more"],
            "Failed",
            Tone.BAD,
            r"p95 is 152 s, not < 120s\. All 20 .*",
        ),
        (1, [], "Failed", Tone.BAD, r".* but the test did not end well\."),
        (3, ["It refused.\n    hint"], "Failed", Tone.BAD, r"The target gave way: It refused\."),
        (4, ["Stopped by you."], "Stopped", Tone.WARNING, r"Stopped by you\. Until then all 20 runs .*"),
        (
            5,
            ["CPU gave way."],
            "Invalid",
            Tone.WARNING,
            r"CPU gave way, so the figures describe it more than .*",
        ),
        (9, [], "Unknown", Tone.WARNING, r".*"),
    ],
)
def test_the_verdict_is_one_sentence_that_says_why(
    sample: Sample, code: int, reasons: list[str], word: str, tone: Tone, sentence: str
) -> None:
    verdict = story_of(sample(SampleTest(loads=ONE, exit_code=code, reasons=reasons))).verdict
    assert (verdict.word, verdict.tone) == (word, tone)
    assert re.fullmatch(sentence, verdict.sentence)
    assert list(verdict.reasons) == reasons[1:]


def test_a_test_on_the_emulator_says_so_in_its_verdict(sample: Sample) -> None:
    story = story_of(sample(SampleTest(loads=ONE, emulator=True)))
    assert any("emulator" in caveat for caveat in story.verdict.caveats)
    assert not any("emulator" in caveat for caveat in story_of(sample(SampleTest(loads=ONE))).verdict.caveats)


def test_a_test_with_everything_tells_it(nightly: TestResult) -> None:
    story = story_of(nightly)
    assert [one.id for one in story.sections] == [
        "thresholds",
        "scenarios",
        "failures",
        "keeping-up",
        "durations",
        "phases",
        "pods",
        "course",
        "slowest",
        "api",
        "components",
        "generator",
        "cleanup",
        "conditions",
    ]
    assert len(SECTIONS) == len(story.sections) + 2  # no schedules and no metrics of one's own in this one
    assert "Flag(text='is 152 s, not < 120s', tone=<Tone.BAD: 'bad'>)" in repr(
        table(story, "thresholds").rows
    )
    assert any(isinstance(block, Items) for block in section(story, "cleanup").blocks)


def test_the_components_stand_on_the_time_axis_of_the_test(nightly: TestResult) -> None:
    story = story_of(nightly)
    found = section(story, "components")
    assert found.lead.startswith("Of CPU, ")
    processes = table(story, "components", "In the measured time")
    assert [row[0] for row in processes.rows] == ["API server", "Argo's workflow controller"]
    (queue,) = table(story, "components", "The queues of Argo's").rows
    assert queue[0] == "workflow_queue"
    assert "≤ 100 ms" in queue
    charts = [block.chart.name for block in found.blocks if isinstance(block, Figure)]
    assert [name for name in charts if name.count("-") == 1] == [
        "component-cpu",
        "component-memory",
        "component-queue",
    ]
    (items,) = [block for block in found.blocks if isinstance(block, Items)]
    assert any("refused. Forward it" in text for text in items.texts)
    assert any("3 looks failed" in text for text in items.texts)
    shares = table(story, "api", "How much of it was the server")
    assert [row[0] for row in shares.rows] == ["CreateRun"], "what this client did not call is left out"


def test_unfinished_runs_are_neither_left_out_nor_counted_as_ended(nightly: TestResult) -> None:
    story = story_of(nightly)
    durations = table(story, "durations", "run.duration")
    titles = [column.title for column in durations.columns]
    (tail,) = [row for row in durations.rows if "long tail" in str(row[0])]
    unfinished = nightly.document["scenarios"][1]["metrics"]["runs"]["unfinished"]
    assert unfinished > 3
    assert tail[titles.index("Without an end")] == str(unfinished)
    told = " ".join(block.text for block in section(story, "durations").blocks if isinstance(block, Prose))
    assert f"with the {unfinished} unfinished ones above them" in told
    assert (
        f"The {unfinished} runs without an end ({unfinished} unfinished)"
        in table(story, "keeping-up").caption
    )


def test_quantiles_that_were_not_reached_say_so(sample: Sample) -> None:
    story = story_of(sample(SampleTest(loads=(Load("slow", 40, 0.0, 60.0, 100.0, unfinished=0.9),))))
    for title in ("run.visible", "run.duration"):
        (row,) = table(story, "durations", title).rows
        assert row.count("not reached") == 3, "of 40 runs there is no p99"
    assert "the median from due to visible success is not reached" in section(story, "durations").lead


def test_intervals_stand_below_their_quantiles(sample: Sample) -> None:
    result = sample(SampleTest(loads=ONE))
    duration = result.document["scenarios"][0]["metrics"]["runs"]["duration_seconds"]
    duration["intervals"] = {"p50": [8.0, 12.0], "p90": [12.0, None]}
    (steady,) = table(story_of(result), "durations", "run.duration").rows
    notes = [cell.note for cell in steady if isinstance(cell, Noted)]
    assert notes == ["8.00 to 12.0 s", "12.0 s or more"]


def left_on_the_server(result: TestResult) -> None:
    """Write a journal in which all runs were made and none was deleted."""
    for scenario in result.scenarios:
        with (scenario.folder / "journal.jsonl").open("w") as file:
            file.write('{"target": "x"}\n')
            for record in scenario.runs():
                made = {"kind": "run", "name": record.name, "id": record.run_id}
                for event in ("intend", "made"):
                    file.write(json.dumps(made | {"event": event}) + "\n")


def test_the_slowest_runs_lead_to_their_pages_while_they_are_there(sample: Sample) -> None:
    result = sample(SampleTest(loads=ONE))
    assert not any(isinstance(row[0], Hyperlink) for row in table(story_of(result), "slowest").rows), (
        "deleted"
    )
    left_on_the_server(result)
    links = [row[0] for row in table(story_of(result), "slowest").rows]
    assert all(isinstance(link, Hyperlink) for link in links)
    assert str(links[0]).count("https://kubeflow.example/pipeline/#/runs/details/00000000-")


@pytest.mark.parametrize(
    ("target", "setting", "links"),
    [
        ("http://localhost:8888", None, False),
        ("http://localhost:8888", "https://ui.example/", True),
        ("https://kubeflow.example/pipeline", None, True),
        ("https://kubeflow.example/pipeline", "javascript:alert(1)", False),
    ],
)
def test_links_are_made_only_where_the_pages_are_known(
    sample: Sample, target: str, setting: str | None, links: bool
) -> None:
    result = sample(SampleTest(loads=ONE, extra={"configuration": {"KFP_UI_URL": setting}}))
    result.document["target"]["url"] = target
    left_on_the_server(result)
    assert isinstance(table(story_of(result), "slowest").rows[0][0], Hyperlink) is links


def test_names_of_runs_stay_in_their_place_in_an_address(sample: Sample) -> None:
    result = sample(SampleTest(loads=(Load("a", 0, 0.0, 60.0, 10.0),)))
    line = RunRecord(
        scenario="a",
        name="x",
        run_id="../../evil?#",
        due=STARTED,
        outcome=Outcome.SUCCEEDED,
        duration_seconds=5.0,
    )
    (result.scenarios[0].folder / "runs.jsonl").write_text(
        json.dumps(line.row() | {"outcome": "succeeded"}) + "\n"
    )
    left_on_the_server(result)
    (row,) = table(story_of(result), "slowest").rows
    assert isinstance(row[0], Hyperlink)
    assert row[0].url.endswith("/#/runs/details/..%2F..%2Fevil%3F%23")


def test_operations_tell_how_sure_their_p99_is_and_whether_they_drift(sample: Sample) -> None:
    result = sample(SampleTest(loads=ONE))
    figures = result.document["total"]["api"]["load"]["CreateRun"]
    figures["latency_seconds"] |= {"n": 1000, "p50": 0.04, "p99": 0.08, "intervals": {"p99": [0.07, 0.095]}}
    figures["latency_trend"] = {"drifts": True, "change_share": 0.124}

    def cells() -> Any:
        shown = table(story_of(result), "api")
        titles = [column.title for column in shown.columns]
        return shown.rows[0][titles.index("p50")], shown.rows[0][titles.index("p99")]

    assert cells() == (Noted("40.0 ms", "+12 %"), Noted("80.0 ms", "70.0 to 95.0 ms"))
    figures["latency_trend"]["drifts"] = False
    figures["latency_seconds"]["intervals"] = {"p99": [0.07, None]}
    assert cells() == ("40.0 ms", Noted("80.0 ms", "70.0 ms or more"))
    figures["latency_seconds"]["intervals"] = {}
    assert cells() == ("40.0 ms", "80.0 ms")


def test_why_runs_failed_is_told_by_how_often(sample: Sample) -> None:
    loads = (
        Load("a", 60, 0.0, 60.0, 10.0, failed=0.9, errors=("FAILED: task train failed",) * 9 + ("FAILED",)),
        Load("b", 5, 0.0, 60.0, 10.0, failed=1.0, errors=("FAILED: task load failed: no such bucket",)),
    )
    result = sample(SampleTest(loads=loads))
    rows = [list(row) for row in table(story_of(result), "failures").rows]
    assert rows[0][:3] == ["FAILED: task train failed", "failed", "a"]
    assert sorted(row[:3] for row in rows[1:]) == [
        ["FAILED", "failed", "a"],
        ["FAILED: task load failed: no such bucket", "failed", "b"],
    ]
    failed = result.document["total"]["runs"]["failed"]
    assert sum(int(str(row[3])) for row in rows) == failed
    lead = section(story_of(result), "failures").lead
    assert lead == f"{failed} runs failed. Most often: FAILED: task train failed."
    summary = draw_console(result)["summary.txt"].decode()
    assert f"! {rows[0][3]} runs failed: FAILED: task train failed\n" in re.sub(r" +\n", "\n", summary)


def test_requests_that_failed_are_grouped_by_what_the_server_said(sample: Sample) -> None:
    result = sample(SampleTest(loads=(Load("steady", 200, 0.0, 60.0, 10.0, said="<b>overloaded</b>"),)))
    count = result.document["total"]["api"]["load"]["CreateRun"]["errors"]
    assert count > 1
    (row,) = table(story_of(result), "api", "Operations that failed").rows
    assert list(row) == ["CreateRun", "HTTP 503", "<b>overloaded</b>", "The load", str(count)]
    page = draw_webpage(result)["report.html"].decode()
    assert "&lt;b&gt;overloaded&lt;/b&gt;" in page
    assert "<b>overloaded" not in page
    del result.document["total"]["api"]["load"]["CreateRun"]["errors_by_message"]  # as of an older version
    (row,) = table(story_of(result), "api", "Operations that failed").rows
    assert list(row) == ["CreateRun", "HTTP 503", "no message", "The load", str(count)]


def test_schedules_are_told_where_there_were_some(sample: Sample) -> None:
    load = Load("cron", 0, 0.0, 600.0, 10.0, mode="PIPELINE_SCHEDULED_RUN")
    result = sample(SampleTest(loads=(load,)))
    figures = {
        "slots": 10,
        "started": 9,
        "missed": 1,
        "doubled": 0,
        "unscheduled": 0,
        "drift_error_seconds": 0.9,
    }
    figures["drift_seconds"] = {"n": 9, "p50": 4.0, "p95": 28.0, "max": 29.0}  # type: ignore[assignment]
    result.document["total"]["schedule"] = figures
    result.document["scenarios"][0]["metrics"]["schedule"] = figures
    with (result.scenarios[0].folder / "runs.jsonl").open("a") as file:
        for place in range(9):
            due = STARTED + 60.0 * place
            line = {
                "scenario": "cron",
                "name": "x",
                "due": due,
                "slot": due,
                "drift_seconds": 4.0,
                "run_id": "i",
            }
            file.write(json.dumps(line) + "\n")
    story = story_of(result)
    told = section(story, "schedules")
    assert "10 slots, 1 of them missed" in told.lead
    assert Flag("1", Tone.WARNING) in table(story, "schedules").rows[0]
    assert any(isinstance(block, Figure) for block in told.blocks)


def test_of_an_empty_test_only_what_is_known_is_told(empty: TestResult) -> None:
    story = story_of(empty)
    assert story.verdict.word == "Stopped"
    assert [one.id for one in story.sections] == ["cleanup", "conditions"]
    assert not story.charts()


def test_files_that_are_gone_are_named(sample: Sample) -> None:
    result = sample(SampleTest(loads=ONE))
    for name in ("runs.jsonl", "series.hlog"):
        (result.scenarios[0].folder / name).unlink()
    story = story_of(result)
    (caveat,) = [caveat for caveat in story.verdict.caveats if "not whole" in caveat]
    assert "runs.jsonl" in caveat
    assert "series.hlog" in caveat
    assert table(story, "durations").rows  # from result.json


_OPTIONAL = frozenset(
    {
        *("schema_version", "thresholds", "complete", "complete_until", "generator", "health"),
        *("declared_metrics", "evidence", "baseline", "stopped_early"),
    }
)


def test_a_document_that_was_cut_makes_a_report_all_the_same(sample: Sample) -> None:
    result = sample(SampleTest(loads=ONE))
    for key in list(result.document):
        less = {name: value for name, value in result.document.items() if name != key}
        story = story_of(TestResult(result.path, less))
        if key not in _OPTIONAL:
            assert any(f"$.{key}" in caveat for caveat in story.verdict.caveats), key


def test_more_scenarios_than_letters_and_curves(sample: Sample) -> None:
    loads = tuple(Load(f"s{place}", 3, place, 60.0, 5.0) for place in range(30))
    story = story_of(sample(SampleTest(loads=loads)))
    assert table(story, "scenarios").rows[26][0] == Noted("A2  s26", "runs in the default experiment")
    for name in ("visible", "durations"):
        (chart,) = [one for one in story.charts() if one.name == name]
        assert "24 more scenarios are in the table" in chart.alt


def test_columns_that_say_nothing_are_left_out_if_they_may_be() -> None:
    columns = [Column("Name", is_number=False), Column("Failed"), Column("Lost"), Column("Cached")]
    rows: list[list[Cell]] = [["a", "0", "0", "0"], ["b", "0", "–", Flag("1", Tone.WARNING)]]
    shown = without_zeros(Table("t", columns, rows, {1: "group"}), "Lost", "Cached")
    assert [column.title for column in shown.columns] == ["Name", "Failed", "Cached"]
    assert shown.rows == [["a", "0", "0"], ["b", "0", Flag("1", Tone.WARNING)]]
    assert shown.groups == {1: "group"}


def test_runs_that_were_given_up_are_no_longer_in_flight(sample: Sample) -> None:
    result = sample(SampleTest(loads=(Load("stuck", 8, 0.0, 60.0, 10.0, unfinished=1.0),)))
    runs = read_material(result).runs.scenarios["stuck"]
    _, counts = levels([runs.states], RUNNING, STARTED)
    assert (counts.max() > 1, counts[-1]) == (True, 0)
    story = story_of(result)
    assert "8 still in flight" in next(one.alt for one in story.charts() if one.name == "run-durations")
    (note,) = [
        block.note
        for block in section(story, "keeping-up").blocks
        if isinstance(block, Figure) and block.chart.name == "in-flight"
    ]
    assert "given up" in note


def test_the_bar_of_phases_says_in_words_where_the_time_went(sample: Sample) -> None:
    chart = next(one for one in story_of(sample(SampleTest(loads=ONE))).charts() if one.name == "phases")
    assert re.search(r"\d s, [\d.]+ % execute<", chart.standalone())


def test_the_slowest_run_of_a_scenario_shows_its_tasks_and_what_it_waited_for(sample: Sample) -> None:
    loads = tuple(Load(name, 3, 0.0, 60.0, seconds) for name, seconds in (("a", 10.0), ("b", 20.0)))
    charts = [one for one in story_of(sample(SampleTest(loads=loads))).charts() if "tasks" in one.name]
    assert [chart.name for chart in charts] == ["slowest-tasks-1", "slowest-tasks-2"]
    assert "the slowest of b: " in charts[0].title
    assert charts[0].alt == "3 tasks, of which the run waited for 2."
    inner, _ = charts[0].draw(960)
    assert re.findall(r">(load|check|train)<", inner) == ["load", "check", "train"]
    assert inner.count('class="pale"') == 2  # the one beside the path, and the legend's


def test_charts_mark_where_the_generator_stood_still(sample: Sample) -> None:
    result = sample(SampleTest(loads=ONE))
    still = [[STARTED + 5.0, STARTED + 17.0], [STARTED + 20.0, "x"], 3]
    result.document["generator"] = {**result.document["generator"], "standstills": still}
    assert read_material(result).moments == [(5.0, "generator stood still for 12.0 s")]
    assert "generator stood still for 12.0 s" in draw_webpage(result)["report.html"].decode()
