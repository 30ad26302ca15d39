"""Executions of one scenario on the emulator in virtual time, each with its result folder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
from emulated import Emulated
from virtual_time import EPOCH

from kfp_emulator.cluster.timing import PROFILES
from kfp_perf.execution.document import result_document
from kfp_perf.result.reader import TestResult
from kfp_perf.result.result_writer import ResultWriter
from kfp_perf.result.scenario_writer import ScenarioInfo, ScenarioWriter

if TYPE_CHECKING:
    from pathlib import Path


def write_profile(folder: Path, name: str, base: str, executor_median: float, executor_p99: float) -> Path:
    """Write a profile that differs from a built-in one in how long executors take; return its file."""
    document = json.loads((PROFILES / f"{base}.json").read_text("utf-8"))
    document["executor_seconds"] = {"lognormal": {"median": executor_median, "p99": executor_p99}}
    file = folder / f"{name}.json"
    file.write_text(json.dumps(document))
    return file


def execute(parent: Path, name: str, profile: Path, seed: int, fields: dict[str, Any]) -> TestResult:
    """Run the scenario once, and write what was recorded as a test does."""
    played = Emulated(
        {"mode": "PIPELINE_RUN", "pipelineFileName": "hello.yaml", **fields}, str(profile), seed=seed
    )
    if played.error is not None:
        raise played.error
    scenario = played.scenario
    # Executions would all begin at the same virtual time; in a real test one follows the other.
    result = ResultWriter.create(parent, name, EPOCH + 600 * seed)
    result.save_given(
        {
            "name": "emulated",
            "target": {"emulator": True, "emulator_profile": "of the test", "version": "2.17.0"},
            "scenarios": [{"name": "t", "folder": "t", "mode": scenario.mode_name}],
            "thresholds": [
                {"scenario": "t", "metric": metric, "condition": condition, "where": ""}
                for metric, condition in fields.get("thresholds", {}).items()
            ],
            "scenario_file": {"path": "emulated.json", "text": json.dumps([fields])},
        }
    )
    writer = ScenarioWriter(result.scenario_folder("t"), EPOCH)
    for record in played.records:
        writer.run(record)
    for sample in sorted(played.samples, key=lambda sample: sample.ended):
        writer.sample(sample, warmup=False)
    last = max(record.seen_finished or record.ended for record in played.records)
    info = ScenarioInfo(
        name="t", mode=scenario.mode_name, start_at=EPOCH, end_at=EPOCH + scenario.run_seconds
    )
    info = msgspec.structs.replace(info, started=EPOCH, finished=last, measured=True, ended=True)
    writer.info(info)
    writer.close()
    result.save_health({"over": True})
    opened = TestResult(result.path)
    document = result_document(opened, finished=last + 1.0)
    return TestResult(result.path, result.save(document))
