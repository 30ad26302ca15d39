from __future__ import annotations

from dataclasses import fields

import msgspec
import pytest

from kfp_perf.observe import TrackedRun
from kfp_perf.observe.times import TimeSpan
from kfp_perf.result.records import Outcome, RunRecord, TaskSpan


def test_a_tracked_run_has_all_fields_of_a_record() -> None:
    own = {field.name for field in fields(TrackedRun)}
    assert own - {"followed_since", "end"} | {"phase_errors"} == set(RunRecord.__struct_fields__)


def test_a_record_is_the_run_as_it_was_then() -> None:
    tracked = TrackedRun(scenario="s", name="r", due=1.0, outcome=Outcome.SUCCEEDED, tasks_complete=True)
    tracked.phases = {"queue": TimeSpan(2.0, 0.5)}
    tracked.tasks = [TaskSpan("load", 1.0, 2.0)]
    record = tracked.record()
    tracked.tasks.append(TaskSpan("more", 2.0, 3.0))
    tracked.state = "RUNNING"
    assert (record.phases, record.phase_errors) == ({"queue": 2.0}, {"queue": 0.5})
    assert (record.tasks, record.state) == ([TaskSpan("load", 1.0, 2.0)], "")
    assert msgspec.json.decode(msgspec.json.encode(record), type=RunRecord) == record
    with pytest.raises(AttributeError):
        record.state = "FAILED"  # type: ignore[misc]
