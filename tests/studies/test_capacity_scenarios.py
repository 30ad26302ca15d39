"""Which scenario a search varies, and what it makes of the others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.config import TestConfig
from kfp_perf.errors import InputError
from kfp_perf.plan import make_plan
from kfp_perf.studies.capacity.plateau import Part, PlannedPlateau
from kfp_perf.studies.capacity.scenarios import find_searched, overrides_of

if TYPE_CHECKING:
    from pathlib import Path

    from kfp_perf.plan import Plan

RUNS = {
    "name": "runs",
    "mode": "PIPELINE_RUN",
    "pipelineFileName": "hello.yaml",
    "arrivalRate": "30/min",
    "runTime": "5m",
}
READS = {"name": "reads", "mode": "RANDOM_GETS", "arrivalRate": "20/s", "runTime": "5m"}
SLOTS = {
    "name": "slots",
    "mode": "PIPELINE_RUN",
    "pipelineFileName": "hello.yaml",
    "numTimes": 5,
    "runTime": "5m",
}
UPLOADS = {"name": "uploads", "mode": "PIPELINE_UPLOAD", "numTimes": 10, "runTime": "5m"}
BOUND = {"thresholds": {"run.visible.p95": "< 90s"}}


def planned(path: Path, document: Any, overrides: tuple[str, ...] = ()) -> Plan:
    file = path / "load.json"
    file.write_text(json.dumps(document))
    return make_plan(file, TestConfig.from_environment(), overrides=overrides)


@pytest.mark.parametrize(
    ("scenarios", "name", "closed", "load"),
    [
        ([RUNS], None, False, 0.5),
        ([RUNS, UPLOADS], None, False, 0.5),
        ([RUNS, SLOTS | BOUND], None, False, 0.5),
        ([SLOTS | BOUND], None, True, 5.0),
        ([RUNS, READS], "reads", False, 20.0),
    ],
)
def test_the_load_that_can_be_varied_is_found(
    tmp_path: Path, scenarios: list[dict[str, Any]], name: str | None, closed: bool, load: float
) -> None:
    found = find_searched(planned(tmp_path, scenarios), name)
    assert (found.closed, found.load) == (closed, load)


@pytest.mark.parametrize(
    ("scenarios", "name", "message"),
    [
        ([RUNS, READS], None, "several loads that can be varied: runs, reads"),
        ([SLOTS], None, "whose backlog cannot grow"),
        ([UPLOADS], None, "its numTimes is a total"),
        ([RUNS], "others", "there is no scenario 'others'"),
        ([RUNS, SLOTS], "slots", "no threshold of yours bounds it"),
    ],
)
def test_without_a_load_that_can_be_varied_the_input_is_wrong(
    tmp_path: Path, scenarios: list[dict[str, Any]], name: str | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        find_searched(planned(tmp_path, scenarios), name)


def test_a_number_in_flight_cannot_be_bounded_as_a_rate(tmp_path: Path) -> None:
    bounds = {"thresholds": {"run.visible.p95": "< 90s", "capacity.rate": ">= 60/min"}}
    with pytest.raises(InputError, match=r"finds no rate that capacity\.rate could bound"):
        find_searched(planned(tmp_path, [SLOTS | bounds]))
    of_the_file = {"thresholds": {"capacity.rate": ">= 60/min"}, "scenarios": [SLOTS | BOUND]}
    with pytest.raises(InputError, match=r"take capacity\.rate out of the thresholds"):
        find_searched(planned(tmp_path, of_the_file), "slots")


def test_a_plateau_has_an_even_load_a_warmup_to_fill_and_the_others_beside_it(tmp_path: Path) -> None:
    staged = {
        **RUNS,
        "arrivals": "poisson",
        "startTime": "1m",
    }
    others = [
        {**READS, "startTime": "2m", "runTime": "2m"},
        {**UPLOADS, "runTime": "5m"},
        {
            "name": "ramped",
            "mode": "RANDOM_GETS",
            "runTime": "3m",
            "stages": [{"duration": "1m", "target": "5/s"}, {"duration": "2m", "target": "2/s"}],
        },
    ]
    document = {
        "thresholds": {"capacity.rate": ">= 60/min", "run.success_rate": ">= 99%"},
        "scenarios": [staged | {"thresholds": {"capacity.rate": ">= 1/s"}}, *others],
    }
    plan = planned(tmp_path, document)
    step = PlannedPlateau(Part.PLATEAU, 1.6, 90.0, 375.0, 45.0)
    changed = planned(tmp_path, document, overrides_of(plan, find_searched(plan, "runs"), step))
    runs, reads, uploads, ramped = changed.scenarios
    assert runs.rate is not None
    assert runs.rate.per_second == pytest.approx(1.6)
    assert runs.arrivals == "constant"
    for one in changed.scenarios:
        assert one.start_seconds == 0.0
        assert one.run_seconds == pytest.approx(465.0)
        assert one.warmup_seconds == pytest.approx(90.0)
    assert str(reads.rate) == "20/s"
    assert uploads.num_times == 16
    assert str(ramped.rate) == "5/s"
    assert ramped.stages is None
    names = [one.metric.name for one in changed.thresholds]
    assert names == ["run.success_rate"]


def test_a_plateau_of_a_closed_load_has_that_many_slots(tmp_path: Path) -> None:
    document = [SLOTS | BOUND]
    plan = planned(tmp_path, document)
    step = PlannedPlateau(Part.PLATEAU, 12.0, 90.0, 375.0, 45.0)
    changed = planned(tmp_path, document, overrides_of(plan, find_searched(plan), step))
    assert changed.scenarios[0].num_times == 12
