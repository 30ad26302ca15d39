"""Results as a test would have left them, made without one: from the same classes, in a blink."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from made_cluster import write_cluster
from made_evidence import exposition, write_scrapes
from made_samples import made_sample

from kfp_perf.execution.document import result_document
from kfp_perf.observe import TrackedRun
from kfp_perf.observe.times import TimeSpan
from kfp_perf.result.counters import ScenarioCounters
from kfp_perf.result.evidence import EVIDENCE_FOLDER, SOURCES_FILE, SourceState
from kfp_perf.result.files import safe_name
from kfp_perf.result.reader import TestResult
from kfp_perf.result.records import Attempt, Outcome, Purpose, TaskSpan
from kfp_perf.result.result_writer import ResultWriter
from kfp_perf.result.scenario_writer import ScenarioInfo, ScenarioWriter

if TYPE_CHECKING:
    from pathlib import Path

    from kfp_perf.result.records import RunRecord, Sample

STARTED = 1_790_000_000.25


@dataclass(frozen=True, slots=True)
class Load:
    """One scenario: so many runs, due evenly from `begin` on for `seconds`, each about `typical` seconds long."""

    name: str
    runs: int
    begin: float
    seconds: float
    typical: float
    mode: str = "PIPELINE_RUN"
    failed: float = 0.0
    unfinished: float = 0.0
    cached: float = 0.0
    errors: tuple[str, ...] = ("pod OOMKilled",)
    said: str = "the API server is overloaded"


@dataclass(slots=True)
class SampleTest:
    """A test to make a result of."""

    name: str = "nightly"
    loads: tuple[Load, ...] = ()
    exit_code: int = 0
    reasons: list[str] = field(default_factory=list)
    emulator: bool = False
    extra: dict[str, Any] = field(default_factory=dict)
    seed: int = 1
    #: Whether the API server and Argo's controller were scraped, and an endpoint of this name was missing.
    missing_endpoint: str = ""


def make_result(parent: Path, test: SampleTest) -> TestResult:
    """Write the result folder of a test into a folder, by the classes that a test uses, and open it."""
    random_ = random.Random(test.seed)
    result = ResultWriter.create(parent, test.name, STARTED)
    result.save_given(_given(test))
    latest = STARTED
    for load in test.loads:
        writer = ScenarioWriter(result.scenario_folder(load.name), STARTED)
        begin = STARTED + load.begin
        info = ScenarioInfo(name=load.name, mode=load.mode, start_at=begin, end_at=begin + load.seconds)
        samples = []
        for record in _records(load, random_):
            writer.run(record)
            samples += _samples(load, record, random_)
            latest = max(latest, record.seen_finished or record.seen_unfinished or record.ended)
        for sample in sorted(samples, key=lambda sample: sample.ended):
            writer.sample(sample, warmup=False)
        writer.state(ScenarioCounters(scenario=load.name), {"observer": {"components": _components(load)}})
        finished = max(latest, begin + load.seconds)
        writer.info(
            msgspec.structs.replace(info, started=begin, finished=finished, measured=True, ended=True)
        )
        writer.close()
    if test.missing_endpoint:
        _write_evidence(result.path, test.missing_endpoint, latest)
    result.save_health({"over": True})
    opened = TestResult(result.path)
    document = result_document(opened, finished=max(latest, STARTED + 1.0) + 5.0)
    document["verdict"] |= _verdict(test)
    return TestResult(result.path, result.save(document | test.extra))


def _write_evidence(folder: Path, missing: str, until: float) -> None:
    times = [STARTED - 5.0 + 60.0 * place for place in range(int(until - STARTED) // 60 + 2)]
    for name in ("server", "controller"):
        levels = {at: 100.0 + 5.0 * place for place, at in enumerate(times)}
        write_scrapes(folder, name, {at: exposition(name, level) for at, level in levels.items()})
    write_cluster(folder, [f"00000000-0000-4000-8000-{place:012d}" for place in range(20)], STARTED)
    states = [
        SourceState(
            name="server", title="metrics of the KFP API server", found="https://kubeflow.example/metrics"
        ),
        SourceState(name="controller", title="metrics of Argo's workflow controller", found="x", failures=3),
        SourceState(name="missing", title=f"metrics of {missing}", missing="refused", remedy="Forward it"),
    ]
    (folder / EVIDENCE_FOLDER / SOURCES_FILE).write_bytes(msgspec.json.encode(states))


def _records(load: Load, random_: random.Random) -> list[RunRecord]:
    records = []
    for place in range(load.runs):
        due = STARTED + load.begin + load.seconds * place / load.runs
        sent = due + random_.uniform(0.0001, 0.0008)
        ended = sent + random_.lognormvariate(-3.2, 0.5)
        duration = max(1.0, load.typical * random_.lognormvariate(0.0, 0.35))
        finished = ended + duration
        chance = random_.random()
        record = TrackedRun(
            scenario=load.name,
            name=f"kfp-perf-{load.name}-{place}",
            run_id=f"00000000-0000-4000-8000-{place:012d}",
            due=due,
            sent=sent,
            ended=ended,
            attempts=1,
            created_at=float(int(ended)),
            seen_running=ended + 1.0,
        )
        if chance < load.unfinished:
            record.outcome, record.state = Outcome.UNFINISHED, "RUNNING"
            record.seen_unfinished = finished
        else:
            record.outcome, record.state = Outcome.SUCCEEDED, "SUCCEEDED"
            if chance < load.unfinished + load.failed:
                record.outcome, record.state = Outcome.FAILED, "FAILED"
                record.error = random_.choice(load.errors)
            record.cached = (
                load.unfinished + load.failed <= chance < load.unfinished + load.failed + load.cached
            )
            record.finished_at = float(int(finished))
            record.duration_seconds = duration + random_.uniform(-0.3, 0.3)
            record.duration_error_seconds = 0.7
            record.seen_unfinished, record.seen_finished = finished, finished + random_.uniform(0.5, 3.0)
            phases = _phases(duration, random_)
            record.phases = {name: TimeSpan(seconds, 1.0) for name, seconds in phases.items()}
            record.tasks, record.tasks_complete = _tasks(duration), True
        records.append(record.record())
    return sorted(records, key=lambda record: record.seen_finished or record.seen_unfinished or record.ended)


def _phases(duration: float, random_: random.Random) -> dict[str, float]:
    shares = {"queue": 0.1, "driver": 0.25, "execute": 0.4, "transition": 0.2, "finish": 0.05}
    rough = {name: share * random_.uniform(0.6, 1.4) for name, share in shares.items()}
    whole = sum(rough.values())
    inner = {name: share / whole * duration for name, share in rough.items()}
    return {"submit": 0.04, **inner, "visible": random_.uniform(0.5, 3.0)}


def _tasks(seconds: float) -> list[TaskSpan]:
    shares = (("load", 0.1, 0.4, True), ("check", 0.4, 0.5, False), ("train", 0.4, 0.95, True))
    return [
        TaskSpan(name, share * seconds, until * seconds, waited_for, "SUCCEEDED")
        for name, share, until, waited_for in shares
    ]


def _samples(load: Load, record: RunRecord, random_: random.Random) -> list[Sample]:
    over = record.seen_finished or record.seen_unfinished or record.ended
    earlier: tuple[Attempt, ...] = ()
    if random_.random() < 0.02:
        earlier = (Attempt(record.sent, record.sent + 0.01, 503, "503", load.said, unknown=True),)
    samples = [made_sample("CreateRun", record.due, record.sent, record.ended, earlier=earlier)]
    if earlier:
        failed = made_sample(
            "CreateRun", record.due, record.sent, record.sent + 0.2, 503, "503", message=load.said
        )
        samples.append(failed)
    for name in ("ListRuns", "GetRun"):
        sent = over - random_.uniform(0.02, 0.2)
        samples.append(made_sample(name, sent, sent, over, purpose=Purpose.OBSERVE))
    return samples


def _components(load: Load) -> dict[str, Any]:
    return {
        f"step-{place}": {
            "executed": load.runs,
            "failed": 0,
            "cached": 0,
            "skipped": 0,
            "on_critical_path": load.runs,
            "seconds": {"3": load.runs // 2, "5": load.runs - load.runs // 2},
        }
        for place in range(1, 4)
    }


def _verdict(test: SampleTest) -> dict[str, Any]:
    texts = {0: "passed", 1: "failed", 3: "the target failed", 4: "stopped before its end"}
    return {
        "text": texts.get(test.exit_code, "invalid: generator saturated"),
        "exit_code": test.exit_code,
        "reasons": test.reasons,
    }


def _given(test: SampleTest) -> dict[str, Any]:
    return {
        "name": test.name,
        "started": _utc(STARTED),
        "target": {
            "url": "https://kubeflow.example/pipeline",
            "emulator": test.emulator,
            "emulator_profile": "kfp-2.17" if test.emulator else None,
            "version": "2.17.0",
            "commit": "abc",
            "multi_user": False,
        },
        "scenarios": [
            {"name": load.name, "folder": safe_name(load.name), "mode": load.mode} for load in test.loads
        ],
        "environment": {"kfp_perf": "0.1.0", "python": "3.11.7", "cpus": 8, "system": "Linux"},
        "configuration": {"KFP_TOKEN": "**********"},
        "scenario_file": {"path": "nightly.json", "text": '[{"mode": "PIPELINE_RUN"}]'},
    }


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
