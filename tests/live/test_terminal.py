from __future__ import annotations

import io
from typing import TYPE_CHECKING

import msgspec
import pytest
from rich.console import Console, ConsoleDimensions
from rich.text import Text

from kfp_perf.live import ScenarioState, Snapshot
from kfp_perf.live.plain import line_of
from kfp_perf.live.snapshot import FeedMessage, ThresholdState
from kfp_perf.live.terminal import draw, show

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def screen(snapshot: Snapshot, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    with console.capture() as capture:
        console.print(draw(snapshot, width))
    return capture.get().rstrip("\n").split("\n")


@pytest.mark.parametrize("width", [40, 55, 60, 78, 80, 120, 200])
def test_the_screen_fits_its_terminal(snapshot: Callable[..., Snapshot], width: int) -> None:
    lines = screen(snapshot(), width)
    assert max(map(len, lines)) <= width
    assert len(lines) < 20


def test_the_screen_says_how_the_test_stands(snapshot: Callable[..., Snapshot]) -> None:
    text = "\n".join(screen(snapshot(), 80))
    for part in (
        "nightly",
        "0:30 of 1:30",
        "0:30 left",
        "in 0:15",
        "12.5 requests/s",
        "p50 4.0 ms",
        "p99 81.0 ms",
    ):
        assert part in text
    assert "lateness p99 200 us" in text
    assert "3 × CreateRun 503" in text


@pytest.mark.parametrize(("width", "lines"), [(40, 2), (80, 1), (200, 1)])
def test_the_components_have_as_many_lines_as_they_need(
    snapshot: Callable[..., Snapshot], width: int, lines: int
) -> None:
    state = snapshot()
    before = screen(state, width)
    state.evidence = ["server 0.42 cores, 181 MiB", "controller 1.20 cores, workflows queued 77"]
    found = [line for line in screen(state, width) if line not in before]
    assert len(found) == lines
    assert found[0].startswith("server 0.42 cores, 181 MiB")
    assert max(map(len, found)) <= width


def test_the_bar_grows_and_can_be_read_without_colours(snapshot: Callable[..., Snapshot]) -> None:
    def bar(at: float) -> tuple[int, int]:
        line = next(line for line in screen(snapshot(at), 110) if "steady" in line)
        return line.count("━"), line.count("─")

    assert bar(0.0) == (0, 16)
    assert bar(30.0) == (8, 8)
    assert bar(60.0) == (16, 0)


def test_all_scenarios_are_added_up(snapshot: Callable[..., Snapshot]) -> None:
    (line,) = [line.split() for line in screen(snapshot(), 80) if line.startswith("in all")]
    assert line == ["in", "all", "12", "70", "2", "1", "900"]
    one = snapshot(scenarios=[ScenarioState("a", "EXPERIMENT", "running", 0.0, 90.0)])
    assert not any(line.startswith("in all") for line in screen(one, 80))


@pytest.mark.parametrize(
    ("width", "titles", "counts"),
    [
        (44, "scenario in flight succeeded failed lost", "12 70 2 1"),
        (62, "scenario state in flight succeeded failed lost", "12 70 2 1"),
        (78, "scenario state in flight succeeded failed lost requests", "12 70 2 1 900"),
        (104, "scenario state in flight succeeded failed lost requests", "12 70 2 1 900"),
    ],
)
def test_a_narrow_terminal_shows_what_counts(
    snapshot: Callable[..., Snapshot], width: int, titles: str, counts: str
) -> None:
    _, head, *lines = screen(snapshot(), width)
    assert head.split() == titles.split()
    assert f"in all {counts}" in {" ".join(line.split()) for line in lines}


@pytest.mark.parametrize("width", [60, 79, 80, 90, 104, 200])
def test_no_number_is_cut(snapshot: Callable[..., Snapshot], width: int) -> None:
    state = ScenarioState(
        "branches-and-loops", "EXPERIMENT", "cleaning", 0.0, 9.0, cleaned_up=1, to_clean_up=2
    )
    state.in_flight, state.succeeded, state.requests = 1234, 56789, 123456789
    line = next(line for line in screen(snapshot(scenarios=[state]), width) if line.startswith("branches"))
    assert "deleting 50 %" in line
    assert "1,234" in line
    assert "56,789" in line
    assert "…" not in line.removeprefix(line.split()[0])
    assert "123,456,789" in line or width < 70


def test_many_scenarios_do_not_fill_the_screen(snapshot: Callable[..., Snapshot]) -> None:
    many = [ScenarioState(f"s{place}", "EXPERIMENT", "queued", 0.0, 90.0) for place in range(40)]
    lines = screen(snapshot(scenarios=many, errors={f"kind {place}": place + 1 for place in range(9)}), 80)
    assert len(lines) < 24
    assert any("and 28 more" in line for line in lines)
    assert any("and 6 other kinds" in line for line in lines)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"stopping": True}, "stopping"),
        ({"emulator": True}, "on the emulator"),
        ({"latency_p50": None, "latency_p99": None, "errors": {}}, "requests/s"),
        ({"scenarios": [ScenarioState("a", "EXPERIMENT", "running", 0, 90, away=True)]}, "no answer"),
        (
            {"scenarios": [ScenarioState("a", "EXPERIMENT", "cleaning", 0, 9, cleaned_up=3, to_clean_up=12)]},
            "deleting 25 %",
        ),
    ],
)
def test_what_is_special_is_said(
    snapshot: Callable[..., Snapshot], fields: dict[str, object], said: str
) -> None:
    assert said in "\n".join(screen(snapshot(**fields), 80))


def test_the_plain_line_is_one_line(snapshot: Callable[..., Snapshot]) -> None:
    line = line_of(snapshot())
    assert "\n" not in line
    assert line.startswith("0:30 of 1:30, 12 in flight, 70 succeeded, 2 failed, 1 lost")
    assert "4 errors" in line


def test_a_resized_terminal_is_cleared(snapshot: Callable[..., Snapshot]) -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=100, height=30)
    cleared = "\x1b[2J\x1b[H"

    def lines() -> Iterator[bytes]:
        line = msgspec.json.encode(FeedMessage(snapshot=snapshot()))
        yield line
        yield line
        assert cleared not in file.getvalue()
        console.size = ConsoleDimensions(60, 30)
        yield line
        yield b'{"snapshot": {"name": '  # cut off
        yield line

    show(lines(), console)
    assert file.getvalue().count(cleared) == 1
    assert (
        max(len(text) for text in Text.from_ansi(file.getvalue().split(cleared)[1]).plain.splitlines()) <= 60
    )


def test_what_a_user_waits_is_shown_with_all_runs_due(snapshot: Callable[..., Snapshot]) -> None:
    assert "visible" not in "\n".join(screen(snapshot(), 80)), "no runs"
    assert "visible p50 12.5 s" in "\n".join(screen(snapshot(runs_due=40, visible_p50=12.5), 80))
    assert "visible p50 not reached" in "\n".join(screen(snapshot(runs_due=40), 80))


THRESHOLDS = [
    ThresholdState("run.visible.p95", "< 5m", "seconds", "kept", 34.2, at_least=True),
    ThresholdState("run.duration.p95", "< 90s", "seconds", "at the end"),
    ThresholdState("run.success_rate", ">= 90% over 5m", "share", "not kept", 0.85, "steady", final=True),
    ThresholdState("run.throughput", ">= 30/min", "per second", "not kept", 0.2),
    ThresholdState("api.GetRun.latency.p99", "< 1s", "seconds", "too few", scenario="<b>evil</b>"),
    ThresholdState("api.CreateRun.error_rate", "<= 5%", "share", "not kept", 0.25, default=True),
    ThresholdState("api.CreateRun.latency.p99", "< 1s", "seconds", "not kept", not_reached=True),
]


def test_thresholds_so_far_those_that_are_not_kept_first(snapshot: Callable[..., Snapshot]) -> None:
    lines = [" ".join(line.split()) for line in screen(snapshot(thresholds=THRESHOLDS), 120)]
    shown = lines[lines.index("✗ steady: run.success_rate >= 90% over 5m 85 % not kept") :][:7]
    assert shown[1:] == [
        "✗ run.throughput >= 30/min 0.200 /s not kept so far",
        "✗ api.CreateRun.error_rate <= 5% (default) 25 % not kept so far",
        "✗ api.CreateRun.latency.p99 < 1s not reached not kept so far",
        "✓ run.visible.p95 < 5m ≥ 34.2 s kept so far",
        "· <b>evil</b>: api.GetRun.latency.p99 < 1s too early to tell",
        "1 threshold judged at the end",
    ]


@pytest.mark.parametrize("width", [40, 63, 80, 120])
def test_many_thresholds_fit_the_screen(snapshot: Callable[..., Snapshot], width: int) -> None:
    lines = screen(snapshot(thresholds=THRESHOLDS * 5), width)
    assert max(map(len, lines)) <= width
    assert "24 thresholds more, 5 thresholds judged at the end" in lines or width == 40
    assert len(lines) < 24


def test_without_thresholds_nothing_is_said_of_them(snapshot: Callable[..., Snapshot]) -> None:
    assert "threshold" not in "\n".join(screen(snapshot(), 80))
