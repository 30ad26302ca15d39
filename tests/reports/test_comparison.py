from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest
from made_executions import write_side
from sample_results import Load, SampleTest, make_result

from kfp_perf.cli.compare import compare
from kfp_perf.compare import Comparison, compare_sides, read_side
from kfp_perf.reports.comparison_distributions import distributions, read_times
from kfp_perf.reports.comparison_formats import FORMATS
from kfp_perf.reports.comparison_words import sentence_of, shown_metrics

if TYPE_CHECKING:
    from pathlib import Path

BASE = [10.0, 10.2, 9.9, 10.1]


def compared(folder: Path, new: list[float], baseline: list[float] = BASE) -> Comparison:
    one = write_side(folder / "a", baseline)
    other = write_side(folder / "b", new, first_minute=30)
    return compare_sides(read_side([one]), read_side([other]))


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_has_verdict_values_and_warnings(tmp_path: Path, name: str) -> None:
    text = FORMATS[name](compared(tmp_path, [11.5, 11.6, 11.4, 11.7])).decode()
    assert "run.visible.mean" in text
    assert "slower" in text.lower()
    assert "drift of the environment" in " ".join(text.split())
    assert "No success or error rate got worse" in text or "run.success_rate" in text


def test_a_terminal_shows_further_metrics_only_where_something_was_found(tmp_path: Path) -> None:
    comparison = compared(tmp_path, [10.1, 10.3, 9.8, 10.2])
    assert not any(one.verdict in {"slower", "faster"} for one in comparison.metrics)
    text = FORMATS["console"](comparison).decode()
    assert "phase.queue.mean" not in text
    assert f"{len(shown_metrics(comparison)) - 1} metrics without a clear change: see the page" in text
    assert "run.success_rate" not in text
    for name in ("markdown", "html"):
        assert "phase.queue.mean" in FORMATS[name](comparison).decode()


def test_the_command_offers_every_format() -> None:
    (option,) = (one for one in compare.params if one.name == "name")
    assert isinstance(option.type, click.Choice)
    assert list(option.type.choices) == list(FORMATS)


@pytest.mark.parametrize(
    ("new", "sentence"),
    [
        (
            [10.1, 10.0, 10.2, 9.9],
            "run.visible.mean: same within 5 %; +0.0 %, from 10.0 s to 10.0 s; 90 % interval -1.7 to +1.8 %.",
        ),
        (
            [8.0, 13.0, 9.0, 12.0],
            "An increase of 63 % would have been found four times in five. A change of 5 % needs 101 to 480 exec",
        ),
        ([10.0], "at least 3 executions a side are needed, 5 are advised"),
        (
            [11.0] * 3,
            "too coarse to tell; +9.5 %, from 10.0 s to 11.0 s (the executions of a side do not differ",
        ),
    ],
)
def test_what_was_found_in_words(tmp_path: Path, new: list[float], sentence: str) -> None:
    found = compared(tmp_path, new)
    assert sentence in sentence_of(found.primary[0], found.within)


def test_distributions_and_phases_of_both_sides_are_drawn(tmp_path: Path) -> None:
    folders = []
    for place in range(2):
        load = Load("steady", 40, 0.0, 60.0, 8.0 + place, failed=0.1, unfinished=0.05)
        folders.append(make_result(tmp_path / str(place), SampleTest(loads=(load,), seed=place)).path)
    found = compare_sides(read_side(folders[:1]), read_side(folders[1:]))
    page = FORMATS["html"](found).decode()
    assert "Share of runs whose success was visible within a time" in page
    assert "Where the time of a run goes" in page
    assert page.count("<svg") >= 4
    times = read_times("a", folders[:1])
    assert len(times.seconds) + times.above == 40
    assert times.above > 0
    assert list(times.seconds) == sorted(times.seconds)


def test_no_distribution_without_runs_on_a_side(tmp_path: Path) -> None:
    one = write_side(tmp_path / "a", BASE)
    times = read_times("a", [one / "00"])
    assert times.seconds == ()
    assert distributions([times, times]) is None


def test_each_side_names_what_it_was_executed_on(tmp_path: Path) -> None:
    target = {"name": "staging", "url": "https://kfp.example.com", "version": "2.17.0"}
    old = write_side(tmp_path / "a", BASE, target=target)
    new = write_side(tmp_path / "b", BASE, first_minute=30, target={**target, "name": None})
    comparison = compare_sides(read_side([old]), read_side([new]))
    assert comparison.baseline.targets == ("staging (https://kfp.example.com)",)
    assert comparison.new.targets == ("https://kfp.example.com",)
    for name, draw in FORMATS.items():
        assert "staging (https://kfp.example.com)" in " ".join(draw(comparison).decode().split()), name
