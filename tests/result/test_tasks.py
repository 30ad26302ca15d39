from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

from kfp_perf.result.folder import TestResult
from kfp_perf.result.records import Outcome, RunRecord, TaskSpan
from kfp_perf.result.tasks import MOST_RUNS, MOST_TASKS, Slowest, TaskRecord, most_telling

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


def test_each_task_of_each_run_has_a_line(tmp_path: Path) -> None:
    result = TestResult.create(tmp_path, "t", NOON)
    result.add_run(run(7, 5.0))
    result.add_run(run(8, 5.0, tasks=0))
    result.close()
    assert list(result.tasks()) == [
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
    lines = (result.path / "tasks.jsonl").read_text().splitlines()
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
    result = TestResult.create(tmp_path, "t", NOON)
    records = [run(place, 100.0 - place, scenario=name) for place in range(20) for name in ("a", "b")]
    for record in records:
        result.add_run(record)
    result.close()
    kept = [record for record in result.runs() if record.tasks]
    assert [record.name for record in kept] == [f"r-{place}" for place in range(MOST_RUNS) for _ in "ab"]
    assert all(record.tasks for record in records)
    assert sum(1 for _ in result.tasks()) == 20 * 2 * 2


def test_an_older_result_has_no_tasks_and_that_is_no_error(tmp_path: Path) -> None:
    result = TestResult.create(tmp_path, "t", NOON)
    result.add_run(run(1, 5.0))
    result.close()
    (result.path / "tasks.jsonl").unlink()
    assert list(result.tasks()) == []
    assert len(list(result.runs())) == 1


def test_of_too_many_tasks_the_critical_and_the_longest_stay() -> None:
    tasks = [TaskSpan(f"t{n}", float(n), n + 2.0 + n % 7) for n in range(3 * MOST_TASKS)]
    tasks[0] = TaskSpan("t0", 0.0, 1.0, waited_for=True)
    kept = most_telling(tasks)
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
