from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.client.messages import Healthz
from kfp_perf.config import TestConfig
from kfp_perf.errors import InputError
from kfp_perf.execution.given import given_document
from kfp_perf.plan import make_plan
from kfp_perf.plan.primary import Primary

if TYPE_CHECKING:
    from pathlib import Path

    from kfp_perf.plan import Plan

SCENARIO = {
    "name": "steady",
    "mode": "PIPELINE_RUN",
    "runTime": 1,
    "numTimes": 1,
    "pipelineFileName": "hello.yaml",
}


def planned(folder: Path, primary: list[str], own: list[str]) -> Plan:
    file = folder / "mine.json"
    file.write_text(json.dumps({"primary": primary, "scenarios": [SCENARIO | {"primary": own}]}))
    return make_plan(file, TestConfig.from_environment())


def test_those_of_the_file_and_of_its_scenarios(tmp_path: Path) -> None:
    plan = planned(tmp_path, ["run.visible.mean"], ["api.CreateRun.latency.p95"])
    assert plan.primary == (
        Primary(None, "run.visible.mean"),
        Primary("steady", "api.CreateRun.latency.p95"),
    )
    given = given_document(plan, TestConfig.from_environment(), Healthz(), "", 0.0)
    assert given["primary"][1] == {"scenario": "steady", "metric": "api.CreateRun.latency.p95"}
    assert len(given["scenarios"][0]["pipeline"]) == 64


@pytest.mark.parametrize(
    ("primary", "own", "message"),
    [
        (["run.visble.mean"], [], "$.primary[0]: there is no metric 'run.visble.mean'"),
        (["run.visible"], [], "run.visible.p95"),
        (["run.success_rate"], [], "run.success_rate cannot be compared as a ratio"),
        (["run.throughput", "run.throughput"], [], "$.primary[1]: names run.throughput twice"),
        (
            ["run.visible.mean", "run.visible.p95", "run.duration.mean"],
            ["run.visible.mean"],
            "has 4 primary metrics in all, and at most 3 are compared",
        ),
        (["run.visible.mean"] * 4, [], "$.primary: "),
        ([1], [], "$.primary[0]"),
        (["schedule.drift.p95"], [], "$.primary[0]: no scenario has values of schedule.drift.p95"),
    ],
)
def test_what_is_wrong_with_them(tmp_path: Path, primary: list[Any], own: list[str], message: str) -> None:
    with pytest.raises(InputError) as caught:
        planned(tmp_path, primary, own)
    assert message in str(caught.value).replace('"', "'")
