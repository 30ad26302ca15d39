from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from kfp_perf.config import TestConfig
from kfp_perf.plan import Plan, make_plan
from kfp_perf.reports.timeline import Timeline, print_timeline

if TYPE_CHECKING:
    from pathlib import Path

SCENARIOS: list[dict[str, Any]] = [
    {"name": "steady", "mode": "PIPELINE_RUN", "runTime": 5, "numTimes": 3, "pipelineFileName": "hello.yaml"},
    {
        "name": "a-name-that-is-really-much-longer-than-there-is-room",
        "mode": "EXPERIMENT",
        "startTime": 5,
        "runTime": 5,
        "warmup": 1,
        "stages": [{"duration": "5m", "target": "60/min"}],
        "pipelineFileName": "hello.yaml",
    },
    {"name": "readers", "mode": "RANDOM_GETS", "runTime": 10, "numTimes": 20},
    {
        "name": "schedules",
        "mode": "PIPELINE_SCHEDULED_RUN",
        "runTime": 10,
        "numTimes": 2,
        "interval": "2m",
        "pipelineFileName": "hello.yaml",
    },
    {
        "name": "blink",
        "mode": "PIPELINE_UPLOAD",
        "startTime": 9,
        "runTime": "1s",
        "pipelineFileName": "hello.yaml",
    },
    {
        "name": "poisson",
        "mode": "EXPERIMENT",
        "runTime": 10,
        "arrivalRate": "6/min",
        "arrivals": "poisson",
        "pipelineFileName": "hello.yaml",
    },
    {
        "name": "never",
        "mode": "PIPELINE_SCHEDULED_RUN",
        "runTime": 1,
        "interval": 2,
        "pipelineFileName": "hello.yaml",
    },
]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    (tmp_path / "f.json").write_text(json.dumps(SCENARIOS))
    return make_plan(tmp_path / "f.json", TestConfig.from_environment())


def drawn(plan: Plan, width: int, *, terminal: bool) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width, force_terminal=terminal, color_system=None).print(Timeline(plan))
    return file.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("terminal", [True, False])
def test_it_fits_the_width(plan: Plan, width: int, terminal: bool) -> None:
    lines = drawn(plan, width, terminal=terminal)
    assert max(map(len, lines)) <= width
    assert len([line for line in lines if line.startswith("readers")]) == 2


def test_it_is_plain_ascii_where_there_is_no_terminal(plan: Plan) -> None:
    file = io.StringIO()
    print_timeline(plan, file)
    assert file.getvalue().isascii()
    assert not "\n".join(drawn(plan, 80, terminal=True)).isascii()


def test_it_says_how_long_and_about_how_much(plan: Plan) -> None:
    guesses = plan.estimates.values()
    runs, requests = sum(guess.runs for guess in guesses), sum(guess.requests for guess in guesses)
    headline = drawn(plan, 80, terminal=False)[0]
    assert headline == f"f: 7 scenarios in 10 min, about {runs:,} runs and {requests:,} requests"


def bar(lines: list[str], name: str) -> str:
    """What stands between a scenario's name and its times."""
    line = next(line for line in lines if line.startswith(name))
    return line[len(lines[2]) - len(lines[2].lstrip()) : len(lines[2])]


def test_bars_stand_where_the_scenario_runs_as_high_as_its_load(plan: Plan) -> None:
    lines = drawn(plan, 80, terminal=False)
    assert lines[2].split() == ["0:00", "10:00"]
    full = len(bar(lines, "readers"))
    assert bar(lines, "readers") == "#" * full
    assert bar(lines, "steady").rstrip() == "#" * round(full / 2)
    rising = bar(lines, "a-name").lstrip()
    assert len(rising) == pytest.approx(full / 2, abs=1)
    assert (rising[0], rising[-1]) == (".", "#")
    heights = [".:-=+*#".index(mark) for mark in rising]
    assert heights == sorted(heights)
    assert bar(lines, "blink").count("#") == 1
    assert bar(lines, "blink").index("#") == pytest.approx(0.9 * full, abs=1)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("steady", ["PIPELINE_RUN", "3 slots"]),
        ("readers", ["RANDOM_GETS", "20 readers"]),
        ("schedules", ["PIPELINE_SCHEDULED_RUN", "2 schedules, every 2 min"]),
        ("blink", ["PIPELINE_UPLOAD", "1 upload "]),
        ("poisson", ["EXPERIMENT", "6/min poisson"]),
    ],
)
def test_the_table_says_what_is_asked_for(plan: Plan, name: str, words: list[str]) -> None:
    row = [line for line in drawn(plan, 160, terminal=False) if line.startswith(name)][1]
    assert [word for word in words if word not in row] == []


@pytest.mark.parametrize(
    ("stages", "text"),
    [
        ([("2m", 10), ("3m", 10)], "0 > 10 slots"),
        ([(0, 2), ("2m", 2), (0, 5), ("3m", 5)], "2 > 5 slots"),
        ([("2m", "1/s"), ("3m", "0/s")], "0 > 1/s > 0/s"),
        ([("1m", 1), ("1m", 2), ("1m", 3), ("1m", 4), ("1m", 5)], "0 > 1 > 2 > 3 > ... slots"),
    ],
)
def test_stages_are_told_as_the_levels_they_go_through(
    tmp_path: Path, stages: list[tuple[object, object]], text: str
) -> None:
    staged = [{"duration": duration, "target": target} for duration, target in stages]
    scenario = {"mode": "EXPERIMENT", "runTime": 5, "pipelineFileName": "hello.yaml", "stages": staged}
    (tmp_path / "f.json").write_text(json.dumps([scenario]))
    plan = make_plan(tmp_path / "f.json", TestConfig.from_environment())
    assert f"EXPERIMENT  {text}  " in "\n".join(drawn(plan, 120, terminal=False))


def test_warnings_follow(plan: Plan) -> None:
    text = "\n".join(drawn(plan, 200, terminal=False))
    assert "warning: " in text
    assert "$[6].interval: does not fire within runTime" in text
