"""The command line of `kfp-perf capacity`: what it refuses, and the plan that it shows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call = Callable[..., tuple[int, str, str]]

RUNS: dict[str, Any] = {
    "mode": "PIPELINE_RUN",
    "pipelineFileName": "hello.yaml",
    "runTime": "1m",
    "name": "runs",
}
RATE = RUNS | {"arrivalRate": "120/min"}


def write(folder: Path, *scenarios: dict[str, Any]) -> None:
    (folder / "load.json").write_text(json.dumps(scenarios))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--from", "0/min"), "--from '0/min' is not a rate above 0"),
        (("--from", "20"), "--from '20' is not a rate above 0"),
        (("--from", "60/min", "--to", "30/min"), "--from 60/min is above --to 30/min"),
        (("--precision", "5"), "write it as 5%"),
        (("--precision", "80%"), "--precision is at most 50%"),
        (("--max-duration", "long"), "is not a time"),
        (("--scenario", "others"), "there is no scenario 'others'"),
        (("--emulator-seed", "3"), "--emulator-seed needs --emulator"),
    ],
)
def test_wrong_options_are_refused(
    kfp_perf: Call, folder: Path, arguments: tuple[str, ...], message: str
) -> None:
    write(folder, RATE)
    code, _, err = kfp_perf("capacity", "load.json", *arguments)
    assert code == 2
    assert message in " ".join(err.split())
    assert not (folder / "results").exists()


def test_a_load_that_cannot_be_varied_is_refused(kfp_perf: Call, folder: Path) -> None:
    write(folder, RUNS | {"numTimes": 5})
    code, _, err = kfp_perf("capacity", "load.json", "--emulator")
    assert code == 2
    assert "whose backlog cannot grow" in err
    write(folder, RUNS | {"numTimes": 5, "thresholds": {"run.visible.p95": "< 90s"}})
    code, _, err = kfp_perf("capacity", "load.json", "--emulator", "--from", "5/min")
    assert code == 2
    assert "is not a number in flight" in err


def test_the_plan_comes_before_the_first_request(kfp_perf: Call, folder: Path) -> None:
    stages = [{"duration": "30s", "target": 2}, {"duration": "30s", "target": 5}]
    write(
        folder,
        RATE,
        {"mode": "RANDOM_GETS", "name": "reads", "numTimes": 2, "runTime": "1m"},
        {"mode": "RANDOM_GETS", "name": "more", "runTime": "1m", "stages": stages},
    )
    # Nothing listens on the port, so nothing begins.
    code, _, err = kfp_perf("capacity", "load.json", "--host", "http://127.0.0.1:9", "--to", "240/min")
    assert code == 3
    assert "Searching the capacity of scenario runs, from 15 runs a minute, to within 10 %: 600 runs" in err
    assert (
        "In the background of each plateau: reads, more (at 5 in flight, the highest of its stages)." in err
    )
    assert "If the capacity is 120 runs a minute" in err
    assert " plateaus, about " in err
    assert not list((folder / "results").glob("*"))
