"""What the scrapes of endpoints say of the measured time of a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from made_evidence import exposition, write_scrapes

from kfp_perf.judgement import Judged
from kfp_perf.metrics.figures import figures_of
from kfp_perf.result.reader import TestResult
from kfp_perf.verdict import judge, with_defaults

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kfp_perf.metrics.figures import Figures
    from kfp_perf.result.reader import ScenarioFiles

T0 = 1_790_000_000.0


@pytest.fixture
def total(files: Callable[..., ScenarioFiles], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """The figures of a test from T0 to 100 s later, with these answers of an endpoint by their times after T0."""

    def make(name: str, answers: dict[float, bytes]) -> dict[str, Any]:
        return all_of(name, answers).total

    def all_of(name: str, answers: dict[float, bytes]) -> Figures:
        scenario = files(name="s", start_at=T0, end_at=T0 + 100.0, ended=True)
        write_scrapes(tmp_path, name, {T0 + at: text for at, text in answers.items()})
        return figures_of([scenario], TestResult(tmp_path).evidence)

    make.all_of = all_of  # type: ignore[attr-defined]
    return make


def test_cpu_memory_and_calls_of_the_measured_time(total: Callable[..., dict[str, Any]]) -> None:
    answers = {
        -60.0: exposition("server", 1.0, cpu=100.0),
        -5.0: exposition("server", 10.0, cpu=110.0, memory=5e8, handling=100.0, handled=100.0),
        50.0: exposition("server", 20.0, cpu=165.0, memory=9e8, handling=200.0, handled=200.0),
        105.0: exposition("server", 30.0, cpu=176.0, memory=7e8, handling=300.0, handled=300.0),
        200.0: exposition("server", 99.0, cpu=900.0, memory=99e8, handling=999.0, handled=999.0),
    }
    found = total("server", answers)["server"]
    assert found["cpu_cores"] == {"max": 1.0, "mean": pytest.approx(0.6)}
    assert found["memory_bytes"] == {"max": 9e8, "mean": pytest.approx(7e8)}
    assert found["measured_seconds"] == 110.0
    assert found["restarts"] == 0
    create = found["methods"]["CreateRun"]
    assert create["handled"] == 200
    assert create["handled_by_code"] == {"OK": 200, "Internal": 200}
    assert create["error_rate"] == 0.5
    handling = create["handling_seconds"]
    assert handling["mean"] == pytest.approx(0.15)
    assert handling["between"]["p50"] == [0.0, 0.1]
    assert handling["between"]["p99"] == [0.1, 0.3]
    assert handling["p99"] == 0.3
    assert found["run_reports"] == 200


def test_a_sum_that_the_buckets_contradict_gives_no_mean(total: Callable[..., dict[str, Any]]) -> None:
    # The scheduled-workflow controller of KFP 2.17.0 has sums like this one.
    after = exposition("scheduledworkflow", 20.0).replace(
        b"process_scheduled_workflow_duration_seconds_sum 30.0",
        b"process_scheduled_workflow_duration_seconds_sum 1.34e+12",
    )
    assert b"1.34e+12" in after
    found = total("scheduledworkflow", {-5.0: exposition("scheduledworkflow", 10.0), 105.0: after})
    handling = found["scheduledworkflow"]["handling_seconds"]
    assert handling["mean"] is None
    assert handling["p50"] == 0.1


def test_a_value_beyond_the_last_bucket_has_no_upper_bound(total: Callable[..., dict[str, Any]]) -> None:
    beyond = exposition("controller", 20.0).replace(b'le="0.3"} 200.0', b'le="0.3"} 100.0')
    found = total("controller", {-5.0: exposition("controller", 0.0), 105.0: beyond})
    latency = found["controller"]["queues"]["workflow_queue"]["latency_seconds"]
    assert latency["between"]["p99"] == [0.3, None]
    assert latency["p99"] is None


def test_a_restart_fails_the_test_by_default(total: Any) -> None:
    answers = {
        -5.0: exposition("server", 10.0),
        50.0: exposition("server", 1.0, began=T0 + 20.0),
        105.0: exposition("server", 2.0, began=T0 + 20.0),
    }
    figures = total.all_of("server", answers)
    assert figures.total["server"]["restarts"] == 1
    assert "server" not in figures.scenarios["s"], "it is of the whole test"
    (restarts,) = [one for one in with_defaults([], [], figures) if one.metric.name == "server.restarts"]
    (found,) = judge([restarts], figures)
    assert found.judged is Judged.NOT_KEPT
    lifted = with_defaults([], [(None, "server.restarts")], figures)
    assert "server.restarts" not in [one.metric.name for one in lifted]


def test_without_evidence_there_are_no_figures_and_no_default_threshold(
    files: Callable[..., ScenarioFiles], tmp_path: Path
) -> None:
    scenario = files(name="s", start_at=T0, end_at=T0 + 100.0, ended=True)
    figures = figures_of([scenario], TestResult(tmp_path).evidence)
    assert figures.total.keys().isdisjoint({"server", "controller", "scheduledworkflow", "endpoints"})
    assert not any(one.metric.name == "server.restarts" for one in with_defaults([], [], figures))


def test_any_other_endpoint_has_the_metrics_of_its_process(total: Callable[..., dict[str, Any]]) -> None:
    answers = {-5.0: exposition("minio", 10.0, cpu=1.0), 105.0: exposition("minio", 10.0, cpu=56.0)}
    found = total("minio", answers)["endpoints"]["minio"]
    assert found["cpu_cores"]["mean"] == pytest.approx(0.5)
    assert found["open_files_share"] == 1.0
