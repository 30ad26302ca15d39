from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

from kfp_perf.result.reader import ScenarioFiles
from kfp_perf.result.records import Outcome, RunRecord, TaskSpan
from kfp_perf.result.scenario_writer import ScenarioWriter
from kfp_perf.result.tasks import MOST_RUNS, MOST_TASKS, Slowest, TaskRecord, select_tasks

if TYPE_CHECKING:
    from pathlib import Path

NOON = 1_764_072_000.0


def run(place: int, seconds: float, tasks: int = 2, **fields: Any) -> RunRecord:
    return RunRecord(
        scenario=fields.pop("scenario", "s"),
        name=f"r-{place}",
        run_id=f"id-{place}",
        due=NOON,
        outcome=Outcome.SUCCEEDED,
        created_at=NOON + place,
        duration_seconds=seconds,
        tasks=[TaskSpan(f"t{n}", n, n + 2.0, n == 0, "SUCCEEDED") for n in range(tasks)],
        **fields,
    )


def written(folder: Path, *records: RunRecord) -> ScenarioFiles:
    writer = ScenarioWriter(folder, NOON)
    for record in records:
        writer.run(record)
    writer.close()
    return ScenarioFiles(folder)


def test_each_task_of_each_run_has_a_line(tmp_path: Path) -> None:
    files = written(tmp_path, run(7, 5.0), run(8, 5.0, tasks=0))
    assert list(files.tasks()) == [
        TaskRecord(
            scenario="s",
            run_id="id-7",
            run="r-7",
            task=f"t{n}",
            started_at=NOON + 7 + n,
            ended_at=NOON + 9 + n,
            on_critical_path=n == 0,
            state="SUCCEEDED",
        )
        for n in range(2)
    ]
    lines = (tmp_path / "tasks.jsonl").read_text().splitlines()
    assert json.loads(lines[1]) == {
        "scenario": "s",
        "run_id": "id-7",
        "run": "r-7",
        "task": "t1",
        "started_at": NOON + 8,
        "ended_at": NOON + 10,
        "state": "SUCCEEDED",
    }


def test_only_the_slowest_runs_of_a_scenario_keep_their_tasks(tmp_path: Path) -> None:
    records = [run(place, 100.0 - place) for place in range(20)]
    files = written(tmp_path, *records)
    kept = [record for record in files.runs() if record.tasks]
    assert [record.name for record in kept] == [f"r-{place}" for place in range(MOST_RUNS)]
    assert [record.tasks for record in kept] == [record.tasks for record in records[:MOST_RUNS]]
    assert sum(1 for _ in files.tasks()) == 20 * 2


def test_a_result_without_tasks_is_no_error(tmp_path: Path) -> None:
    files = written(tmp_path, run(1, 5.0))
    (tmp_path / "tasks.jsonl").unlink()
    assert list(files.tasks()) == []
    assert len(list(files.runs())) == 1


def test_of_too_many_tasks_the_critical_and_the_longest_stay() -> None:
    tasks = [TaskSpan(f"t{n}", float(n), n + 2.0 + n % 7) for n in range(3 * MOST_TASKS)]
    tasks[0] = TaskSpan("t0", 0.0, 1.0, waited_for=True)
    kept = select_tasks(tasks)
    assert len(kept) == MOST_TASKS
    assert kept[0] == tasks[0]
    assert min(span.end - span.begin for span in kept[1:]) > 5
    assert [span.begin for span in kept] == sorted(span.begin for span in kept)


def test_few_of_many_runs_are_among_the_slowest_when_they_end() -> None:
    random_ = random.Random(3)
    slowest = Slowest()
    durations = [random_.lognormvariate(3.0, 0.5) for _ in range(10_000)]
    taken = [seconds for seconds in durations if slowest.takes(seconds)]
    assert set(sorted(durations)[-MOST_RUNS:]) <= set(taken)
    assert len(taken) < 100
