"""Twelve kinds of result, from a test without runs to one that was invalid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from made_samples import made_sample
from sample_results import STARTED

from kfp_perf.execution.document import result_document
from kfp_perf.result.reader import TestResult
from kfp_perf.result.records import Outcome, Purpose, RunRecord
from kfp_perf.result.result_writer import ResultWriter
from kfp_perf.result.scenario_writer import ScenarioInfo, ScenarioWriter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PHASES = {"submit": 0.1, "queue": 1.0, "driver": 5.0, "execute": 10.0, "finish": 1.0, "visible": 2.0}
LOAD_SECONDS = 240.0


def run(at: float, outcome: Outcome = Outcome.SUCCEEDED, took: float = 20.0, **fields: Any) -> RunRecord:
    """A run that was due `at` seconds after the start; without an end it was followed until 270 s."""
    due = STARTED + at
    usual: dict[str, Any] = {
        "scenario": "load",
        "name": f"run-{at}",
        "run_id": f"id-{at}",
        "outcome": outcome,
        "due": due,
        "sent": due,
        "ended": due + 0.2,
        "attempts": 1,
        "created_at": float(int(due)),
    }
    if outcome in {Outcome.SUCCEEDED, Outcome.FAILED}:
        usual |= {
            "state": outcome.value.upper(),
            "seen_running": due + 2.0,
            "seen_unfinished": due + took,
            "seen_finished": due + took + 1.0,
            "duration_seconds": took,
            "duration_error_seconds": 0.7,
            "tasks_complete": True,
        }
    if outcome is Outcome.SUCCEEDED:
        usual |= {"phases": PHASES, "phase_errors": dict.fromkeys(PHASES, 1.0)}
    if outcome in {Outcome.UNFINISHED, Outcome.CUT_OFF}:
        usual |= {"state": "PENDING", "seen_unfinished": STARTED + 270.0}
    return RunRecord(**{**usual, **fields})


def every(seconds: float, make: Callable[[float], RunRecord], until: float = LOAD_SECONDS) -> list[RunRecord]:
    return [make(place * seconds) for place in range(int(until / seconds))]


def overloaded(at: float) -> RunRecord:
    """Half of the load's runs succeed, later and later; then CreateRun takes long, and nothing ends."""
    if at < LOAD_SECONDS / 2:
        return run(at, took=20.0 + at / 4)
    return run(at, Outcome.UNFINISHED, ended=STARTED + at + 20.0)


def scheduled(at: float) -> RunRecord:
    slot: dict[str, Any] = {
        "slot": STARTED + at,
        "recurring_run_id": "r",
        "drift_seconds": 3.0,
        "drift_error_seconds": 0.5,
    }
    return run(at, sent=0.0, ended=0.0, **slot)


OPEN = {"open_load": True}
NOT_OVER = {"ended": False, "measured": False, "finished": 0.0}
#: The runs of each kind, what its scenario differs in, and what the health check found.
KINDS: dict[str, tuple[list[RunRecord], dict[str, Any], dict[str, Any]]] = {
    "none": ([], {}, {}),
    "all fail": (every(6.0, lambda at: run(at, Outcome.FAILED, error="FAILED: task a failed")), {}, {}),
    "all unfinished": (every(6.0, lambda at: run(at, Outcome.UNFINISHED)), OPEN, {}),
    "half": (every(1.0, overloaded), OPEN, {}),
    "one run": ([run(0.0)], {}, {}),
    "cached only": (every(6.0, lambda at: run(at, cached=True, phases={}, took=2.0)), {}, {}),
    "interrupted": (
        [*every(6.0, run, 120.0), *every(60.0, lambda at: run(121.0 + at, Outcome.CUT_OFF))],
        {},
        {"reasons": [[4, "The test was stopped by you."]]},
    ),
    "killed": (every(6.0, run, 120.0), NOT_OVER, {"over": False}),
    "warm-up only": (every(6.0, lambda at: run(at, warmup=True)), {"measured_from": STARTED + 240.0}, {}),
    "schedules only": (every(60.0, scheduled), {"mode": "PIPELINE_SCHEDULED_RUN", **OPEN}, {}),
    "reads only": ([], {"mode": "RANDOM_GETS"}, {}),
    "invalid": (every(6.0, run), {}, {"reasons": [[5, "The process used 95 % of a core"]]}),
}
CLOCKS = [
    *every(6.0, run),
    *(run(1.0 + at, duration_seconds=None, clock_conflict="finished_before_created") for at in range(3)),
]


def make_kind(
    folder: Path, runs: list[RunRecord], info: dict[str, Any], health: dict[str, Any], *, lifted: bool = False
) -> TestResult:
    result = ResultWriter.create(folder, "kind", STARTED)
    reads = info.get("mode") == "RANDOM_GETS"
    names = [{"name": "load", "folder": "load", "mode": info.get("mode", "PIPELINE_RUN")}]
    lifts = [[None, name] for name in ("run.success_rate", "load.fell_behind")] if lifted else []
    result.save_given(
        {
            "name": "kind",
            "started": "2026-09-21T14:13:20.250Z",
            "target": {
                "url": "http://kfp",
                "emulator": False,
                "emulator_profile": None,
                "version": "2.17.0",
                "commit": "abc",
                "multi_user": False,
            },
            "scenarios": names if runs or reads else [],
            "environment": {"kfp_perf": "0.1.0"},
            "configuration": {"keep": "nothing"},
            "scenario_file": {"path": "kind.json", "text": "[]"},
            "lifted": lifts,
        }
    )
    if runs or reads:
        writer = ScenarioWriter(result.scenario_folder("load"), STARTED)
        times = {"start_at": STARTED, "end_at": STARTED + LOAD_SECONDS, "started": STARTED}
        over = {"finished": STARTED + 280.0, "measured": True, "ended": True}
        usual = {"name": "load", "mode": "PIPELINE_RUN", **times, **over}
        writer.info(ScenarioInfo(**{**usual, **info}))
        for record in runs:
            writer.run(record)
        samples = [
            made_sample("CreateRun", one.due, one.sent, one.ended, purpose=Purpose.LOAD)
            for one in runs
            if one.sent
        ]
        samples += [
            made_sample("GetRun", STARTED + at, STARTED + at, STARTED + at + 0.1) for at in range(9 * reads)
        ]
        for sample in sorted(samples, key=lambda sample: sample.ended):
            writer.sample(sample, warmup=bool(runs) and runs[0].warmup)
        writer.close()
    result.save_health({"over": True, **health})
    opened = TestResult(result.path)
    return TestResult(result.path, result.save(result_document(opened, finished=STARTED + 285.0)))
