"""A whole search on the emulator in virtual time: requests, files, figures, answer and report."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from emulated_executions import execute

from kfp_emulator.cluster.timing import PROFILES
from kfp_perf.config import TestConfig
from kfp_perf.errors import ExitCode
from kfp_perf.plan import make_plan
from kfp_perf.reports.study_reports import draw_console, draw_csv, draw_html, draw_json, draw_markdown
from kfp_perf.result.capacity import CapacityRecord, capacity_of
from kfp_perf.studies import run_executions
from kfp_perf.studies.capacity import CapacitySearch, SearchLimits, find_searched
from kfp_perf.studies.capacity.plateau import Part, PlannedPlateau
from kfp_perf.studies.capacity.reading import broken

if TYPE_CHECKING:
    from pathlib import Path

    from kfp_perf.result.reader import TestResult
    from kfp_perf.result.study import Study
    from kfp_perf.studies import PlannedExecution

SECONDS_PER_RUN = 3.0
PLACES = 3


def profile(folder: Path) -> Path:
    """A cluster of a few places, whose runs hold one for three seconds: the capacity is places over seconds."""
    document = json.loads((PROFILES / "fast.json").read_text("utf-8"))
    document |= {
        "nodes": 1,
        "pods_per_node": PLACES,
        "image_pull_seconds": 0,
        "scheduling_seconds": 0,
        "startup_seconds": 0,
        "driver_seconds": 0.5,
        "executor_seconds": SECONDS_PER_RUN - 2 * 0.5,
    }
    file = folder / "places.json"
    file.write_text(json.dumps(document))
    return file


class Searching:
    """A search whose executions are played in virtual time; `fail_at` is the one that ends with another code."""

    def __init__(self, folder: Path, scenario: dict[str, Any], limits: SearchLimits, **failing: Any) -> None:
        self.folder = folder
        self.profile = profile(folder)
        self.failing = failing
        self.number = 0
        file = folder / "load.json"
        file.write_text(json.dumps([scenario]))
        self.plan = make_plan(file, TestConfig.from_environment())
        self.design = CapacitySearch(self.plan, find_searched(self.plan), limits, 0)
        self.study = run_executions(self.design, "load", folder / "results", self.run)

    def run(self, planned: PlannedExecution, folder: Path) -> TestResult:
        self.number += 1
        changed = make_plan(self.plan.path, TestConfig.from_environment(), overrides=planned.overrides)
        fields = changed.scenarios[0].model_dump(by_alias=True, exclude_unset=True, mode="json")
        result = execute(self.folder / "played", "t", self.profile, planned.emulator_seed or 0, fields)
        if self.number in self.failing.get("numbers", ()):
            result.document["verdict"]["exit_code"] = int(self.failing["code"])
            if self.failing.get("without_load"):
                files = result.scenarios[0]
                (files.folder / "runs.jsonl").write_text("")
                info = msgspec.structs.replace(files.info, start_at=0.0, end_at=0.0)
                (files.folder / "scenario.json").write_bytes(msgspec.json.encode(info))
        return result


SCENARIO = {
    "name": "t",
    "mode": "PIPELINE_RUN",
    "pipelineFileName": "hello.yaml",
    "arrivalRate": "60/min",
    "runTime": "60s",
    "gracePeriod": "30s",
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Study:
    limits = SearchLimits(0.75, precision=0.45)
    return Searching(tmp_path_factory.mktemp("capacity"), SCENARIO, limits).study


def test_the_capacity_of_the_emulated_cluster_is_found(found: Study) -> None:
    record = capacity_of(found)
    assert record.status == "found"
    assert record.low is not None
    assert record.high is not None
    assert record.low <= PLACES / SECONDS_PER_RUN <= record.high
    assert found.record.exit_code == ExitCode.GOOD


def test_what_gave_way_is_the_places_for_pods(found: Study) -> None:
    cause = capacity_of(found).cause
    assert cause is not None
    assert cause.component == "pods"
    assert cause.phases[0].phase in {"driver", "execute"}


def test_the_reports_say_it(found: Study) -> None:
    record = capacity_of(found)
    text = draw_console(found)["summary.txt"].decode()
    assert "runs a minute" in text
    assert "pods wait for a place on a node" in text
    assert "maxPods of the kubelet" in text
    page = draw_html(found)["report.html"].decode()
    assert "Completed load by offered load" in page
    assert "What gave way first?" in draw_markdown(found)["report.md"].decode()
    document = json.loads(draw_json(found)["study.json"])
    assert msgspec.convert(document["capacity"], CapacityRecord) == record
    rows = draw_csv(found)["plateaus.csv"].decode().splitlines()
    assert len(rows) == 1 + len(record.plateaus)
    assert rows[0].startswith("execution,part,rate")


@pytest.mark.parametrize(
    ("code", "status", "sentence"),
    [
        (ExitCode.INTERRUPTED, "interrupted", "The search was interrupted."),
        (ExitCode.TARGET, "outage", "The target failed during the search."),
    ],
)
def test_a_search_that_is_cut_short_has_the_bracket_so_far(
    tmp_path: Path, code: ExitCode, status: str, sentence: str
) -> None:
    limits = SearchLimits(0.5, precision=0.45)
    study = Searching(tmp_path, SCENARIO, limits, numbers=(3,), code=code).study
    record = capacity_of(study)
    assert (record.status, record.rate) == (status, None)
    assert study.record.exit_code == code
    # The light load says nothing of the limit; the ramp held at a minute's 60.
    assert [one.part for one in record.plateaus] == ["light load", "ramp"]
    text = draw_console(study)["summary.txt"].decode()
    assert "At least 60 runs a minute" in text
    assert sentence in " ".join(text.split())


def test_a_plateau_in_which_the_generator_did_not_keep_up_is_measured_again_once(tmp_path: Path) -> None:
    limits = SearchLimits(0.5, highest_rate=0.5, precision=0.45)
    scenario = SCENARIO | {"thresholds": {"capacity.rate": ">= 20/min"}}
    study = Searching(tmp_path, scenario, limits, numbers=(2,), code=ExitCode.INVALID).study
    record = capacity_of(study)
    assert [one.invalid for one in record.plateaus] == [False, True, False]
    assert len({one.rate for one in record.plateaus}) == 1
    assert record.status == "at least"
    assert study.record.exit_code == ExitCode.GOOD
    text = " ".join(draw_console(study)["summary.txt"].decode().split())
    assert "At least 30 runs a minute" in text
    assert "Measured again because the load generator did not keep up: execution 2." in text
    assert "capacity.rate >= 20/min is kept." in text


@pytest.mark.parametrize("number", [1, 2])
def test_a_plateau_whose_scenario_could_not_be_set_up_did_not_hold(tmp_path: Path, number: int) -> None:
    """Nothing was due in it, so that no backlog grew."""
    limits = SearchLimits(0.5, highest_rate=0.5, precision=0.45)
    failing: dict[str, Any] = {"numbers": (number,), "code": ExitCode.FAILED, "without_load": True}
    study = Searching(tmp_path, SCENARIO, limits, **failing).study
    record = capacity_of(study)
    assert (record.status, record.rate, record.held) == ("no load", None, None)
    assert len(record.plateaus) == number - 1
    assert len(study.record.executions) == number
    assert study.record.exit_code == ExitCode.FAILED
    assert "The last plateau had no load" in " ".join(draw_console(study)["summary.txt"].decode().split())
    assert draw_html(study)


def test_what_could_not_be_deleted_says_nothing_of_a_load() -> None:
    step = PlannedPlateau(Part.PLATEAU, 1.0, 60.0, 600.0)
    kept = {"judged": "not kept", "scenario": None, "default": True, "margin": -3.0, "reason": "is 3"}
    document = {"thresholds": [{**kept, "metric": name} for name in ("cleanup.left", "server.restarts")]}
    assert broken(document, "t", step) == ("server.restarts is 3",)


def test_two_such_plateaus_in_a_row_end_the_search(tmp_path: Path) -> None:
    limits = SearchLimits(0.5, highest_rate=0.5, precision=0.45)
    study = Searching(tmp_path, SCENARIO, limits, numbers=(1, 2), code=ExitCode.INVALID).study
    assert capacity_of(study).status == "invalid"
    assert study.record.exit_code == ExitCode.INVALID


def test_a_bound_that_is_not_shown_to_be_kept_fails_the_study(tmp_path: Path) -> None:
    limits = SearchLimits(0.5, highest_rate=0.5, precision=0.45, longest_seconds=60.0)
    scenario = SCENARIO | {"thresholds": {"capacity.rate": ">= 60/min"}}
    study = Searching(tmp_path, scenario, limits).study
    assert study.record.exit_code == ExitCode.FAILED
    text = " ".join(draw_console(study)["summary.txt"].decode().split())
    assert "capacity.rate >= 60/min cannot be judged: the interval is open." in text
    assert "The next plateau would have taken longer than --max-duration allows." in text


def test_the_number_in_flight_that_keeps_a_threshold_is_found(tmp_path: Path) -> None:
    """A run holds one of three places for three seconds, so with n runs in flight each takes n seconds."""
    scenario: dict[str, Any] = {key: value for key, value in SCENARIO.items() if key != "arrivalRate"}
    scenario |= {"numTimes": 4, "thresholds": {"run.visible.p95": "< 6s"}}
    limits = SearchLimits(3.0, highest_rate=6.0, precision=0.5, closed=True, light_seconds=30.0)
    study = Searching(tmp_path, scenario, limits).study
    record = capacity_of(study)
    assert (record.status, record.closed) == ("found", True)
    assert record.held is not None
    assert record.failed is not None
    assert 3 <= record.held <= 5 < record.failed <= 9
    assert record.rate == record.low == record.held
    assert study.record.exit_code == ExitCode.GOOD
    cause = record.cause
    assert cause is not None
    assert "run.visible.p95" in cause.thresholds[0]
    text = " ".join(draw_console(study)["summary.txt"].decode().split())
    assert f"{record.held:.0f} runs in flight" in text
    assert "3 runs in flight" in study.record.executions[0].label
    assert "runs a minute" not in text
    assert "Completed load by offered load" not in draw_html(study)["report.html"].decode()
