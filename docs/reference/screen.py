"""The picture of the live screen, from a state of a test that is made up."""

from __future__ import annotations

import io
import re

from rich.console import Console

from kfp_perf.live import ScenarioState, Snapshot
from kfp_perf.live.snapshot import ThresholdState
from kfp_perf.live.terminal import draw

WIDTH = 80

SNAPSHOT = Snapshot(
    name="nightly",
    target="",
    emulator=True,
    elapsed_seconds=271.0,
    planned_seconds=900.0,
    scenarios=[
        ScenarioState(
            "steady",
            "PIPELINE_RUN",
            "running",
            0.0,
            600.0,
            in_flight=24,
            succeeded=183,
            failed=2,
            requests=2210,
        ),
        ScenarioState(
            "peak", "EXPERIMENT", "running", 180.0, 480.0, in_flight=61, succeeded=74, lost=1, requests=1630
        ),
        ScenarioState("readers", "RANDOM_GETS", "running", 0.0, 900.0, in_flight=5, requests=12904),
        ScenarioState("batch", "EXPERIMENT", "waiting", 600.0, 900.0),
    ],
    requests_per_second=62.4,
    runs_per_minute=48.2,
    latency_p50=0.0089,
    latency_p99=0.164,
    lateness_p99=0.0003,
    runs_due=345,
    visible_p50=31.6,
    errors={"CreateRun 503": 3},
    thresholds=[
        ThresholdState("run.visible.p95", "< 90s", "seconds", "not kept", 104.0, at_least=True),
        ThresholdState("run.success_rate", ">= 95% over 5m", "share", "kept", 0.984, "steady"),
        ThresholdState("run.duration.p95", "< 60s", "seconds", "at the end"),
    ],
    evidence=[
        "pods 9 waiting for a node, 71 on a node",
        "server 0.42 cores, 181 MiB",
        "controller 0.93 cores, 96 MiB, workflows queued 12, workers busy 32",
    ],
)

_FONT = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"


def terminal_picture() -> str:
    """Return the screen as an SVG that loads nothing and names nobody."""
    console = Console(
        width=WIDTH, record=True, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(draw(SNAPSHOT, WIDTH))
    text = console.export_svg(title="kfp-perf run nightly.json", unique_id="kfp")
    text = re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL)
    text = re.sub(r"@font-face \{.*?\}\n?", "", text, flags=re.DOTALL)
    return re.sub(r"font-family: Fira Code, monospace", f"font-family: {_FONT}", text)
