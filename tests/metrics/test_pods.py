"""Pods joined with the runs of the test, and what their stages are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from made_cluster import component_record, pod_record, usage_of, write_cluster, write_lines

from kfp_perf.evidence.kubernetes.records import (
    CLUSTER_FILE,
    COMPONENTS_FILE,
    PODS_FILE,
    USAGE_FILE,
    ClusterRecord,
)
from kfp_perf.judgement import Judged
from kfp_perf.metrics.figures import Figures, figures_of
from kfp_perf.metrics.pods import stage_of
from kfp_perf.result.evidence import EVIDENCE_FOLDER, SOURCES_FILE, SourceState
from kfp_perf.result.reader import TestResult
from kfp_perf.thresholds import parse_threshold
from kfp_perf.verdict import judge, with_defaults

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from kfp_perf.result.reader import ScenarioFiles
    from kfp_perf.result.records import RunRecord

T0 = 1_790_000_000.0
NAMED = ClusterRecord(at=T0, title="context kind (https://kind)", named=True)


@pytest.fixture
def total(
    run: Callable[..., RunRecord], files: Callable[..., ScenarioFiles], tmp_path: Path
) -> Callable[..., dict[str, Any]]:
    """Make the metrics of a whole test with these runs, and the evidence that is in its folder."""

    def make(ids: Sequence[str], *, warmup: Sequence[str] = (), found: bool = True) -> dict[str, Any]:
        runs = [run(run_id=one, name=one, warmup=one in warmup) for one in (*ids, *warmup)]
        written = files([], runs, name="s", start_at=T0, measured_from=T0, end_at=T0 + 60.0, ended=True)
        (tmp_path / EVIDENCE_FOLDER).mkdir(exist_ok=True)
        sources = [
            SourceState(name="pods", title="pods of runs", found="in namespace kubeflow" if found else "")
        ]
        (tmp_path / EVIDENCE_FOLDER / SOURCES_FILE).write_bytes(msgspec.json.encode(sources))
        return figures_of([written], TestResult(tmp_path).evidence).total

    return make


def test_stages_add_up_to_the_life_of_a_pod() -> None:
    pod = pod_record("a", T0)
    stages = {name: stage_of(pod, name) for name in ("scheduling", "pull", "start", "work", "saving")}
    assert stages == {"scheduling": 2.0, "pull": 3.0, "start": 4.0, "work": 5.0, "saving": 1.0}


def test_a_stage_that_did_not_end_is_longer_than_any_and_one_that_did_not_begin_is_none() -> None:
    waiting = pod_record("a", T0, scheduled=None, started=None, finished=None, ended=None, over=False)
    assert stage_of(waiting, "scheduling") == float("inf")
    assert stage_of(waiting, "start") is None
    pulling = pod_record("a", T0, started=None, pulls=None, pull_seconds=0.0, pulling=True, over=False)
    assert stage_of(pulling, "pull") == stage_of(pulling, "start") == float("inf")
    unknown = pod_record("a", T0, pulls=None, pull_seconds=0.0)
    assert stage_of(unknown, "start") == 7.0, "the pull is part of it where nothing says how long it took"


def test_only_pods_of_measured_runs_count(total: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    write_lines(tmp_path, CLUSTER_FILE, [NAMED])
    write_lines(tmp_path, PODS_FILE, [pod_record(one, T0) for one in ("a", "b", "warm", "someone else's")])
    pods = total(["a", "b"], warmup=["warm"])["pods"]
    assert (pods["seen"], pods["runs_with_pods"], pods["other_pods"]) == (2, 2, 1)
    assert pods["driver"]["work_seconds"]["mean"] == 5.0
    assert pods["driver"]["work_seconds"]["error_seconds"] == 1.0
    assert "executor" not in pods


def test_pods_without_a_node_rank_above_all_others(
    total: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    waiting: dict[str, Any] = {
        "scheduled": None,
        "started": None,
        "finished": None,
        "ended": None,
        "over": False,
    }
    stuck = [
        pod_record("a", T0 + place, node="", phase="Pending", unschedulable="0/3 nodes", **waiting)
        for place in range(3)
    ]
    write_lines(tmp_path, CLUSTER_FILE, [NAMED])
    write_lines(tmp_path, PODS_FILE, [*(pod_record("a", T0 + 10 + place) for place in range(7)), *stuck])
    pods = total(["a"])["pods"]
    scheduling = pods["driver"]["scheduling_seconds"]
    assert (scheduling["n"], scheduling["p50"], scheduling["p90"]) == (10, 2.0, None)
    assert "p90" in scheduling["not_reached"]
    assert (pods["unschedulable"], pods["unfinished"], pods["reasons"]) == (3, 3, {"0/3 nodes": 3})
    assert pods["driver"]["work_seconds"]["n"] == 7


def test_what_became_of_them_is_counted(total: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    killed = pod_record(
        "a", T0, role="executor", phase="Failed", reason="OOMKilled", oom_killed=True, exit_code=137
    )
    again = pod_record("a", T0 + 1, role="executor", restarts=2, node="node-2", pulls=0, pull_seconds=0.0)
    write_lines(tmp_path, CLUSTER_FILE, [NAMED])
    write_lines(tmp_path, PODS_FILE, [killed, again])
    pods = total(["a"])["pods"]
    counts = ("failed", "oom_kills", "restarts", "image_pulls")
    assert [pods[name] for name in counts] == [1, 1, 2, 1]
    assert pods["reasons"] == {"OOMKilled": 1}
    assert {node: figures["pods"] for node, figures in pods["by_node"].items()} == {"node-1": 1, "node-2": 1}


def test_without_a_cluster_there_are_no_figures(total: Callable[..., dict[str, Any]]) -> None:
    assert {"pods", "components"}.isdisjoint(total(["a"]))


def _component_files(folder: Path, cluster: ClusterRecord) -> None:
    write_lines(folder, CLUSTER_FILE, [cluster])
    write_lines(
        folder,
        COMPONENTS_FILE,
        [
            component_record(T0, restarts=4, oom_kills=1),
            component_record(T0 + 30.0, restarts=5, oom_kills=2),
            component_record(T0 + 40.0, component="mysql", pod="mysql-2", uid="u-2", restarts=1),
            component_record(T0 + 50.0, component="mysql", pod="mysql-2", uid="u-2", restarts=1, gone=True),
        ],
    )
    samples = [
        usage_of(T0 + at, cores, mebibytes) for at, cores, mebibytes in ((0, 0.2, 256), (15, 0.6, 768))
    ]
    # After the measured time.
    write_lines(folder, USAGE_FILE, [*samples, usage_of(T0 + 500, 9.0, 1024)])


def test_components_by_restarts_and_use(total: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    _component_files(tmp_path, NAMED)
    write_lines(tmp_path, PODS_FILE, [pod_record("a", T0)])
    found = total(["a"])["components"]["by_name"]
    server = found["ml-pipeline"]
    assert (server["restarts"], server["oom_kills"], server["replaced_pods"]) == (1, 1, 0)
    assert server["cpu_cores"] == pytest.approx({"n": 2, "max": 0.6, "mean": 0.4})
    assert server["memory_share_of_limit"] == {"n": 2, "max": 0.75, "mean": 0.5}
    # Of a pod that appeared during the test, every restart is one of the test.
    assert (found["mysql"]["restarts"], found["mysql"]["replaced_pods"]) == (1, 1)


def test_pods_of_a_component_that_are_measured_in_turn_are_added_up(
    total: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    """Nodes are measured at times of their own, and a line has only the pods that were measured since the last."""
    write_lines(tmp_path, CLUSTER_FILE, [NAMED])
    pods = ("ml-pipeline-1", "ml-pipeline-2")
    states = [component_record(T0, pod=pod, uid=pod) for pod in pods]
    gone = component_record(T0 + 42.0, pod=pods[0], uid=pods[0], gone=True)
    write_lines(tmp_path, COMPONENTS_FILE, [*states, gone])
    first = usage_of(T0, 0.5, 100, pods[0])
    first.cores[pods[1]], first.bytes[pods[1]] = {"server": 0.5}, {"server": 100.0 * 2**20}
    samples = [first, *(usage_of(T0 + 5.0 * place, 0.5, 100, pods[place % 2]) for place in range(1, 9))]
    write_lines(tmp_path, USAGE_FILE, [*samples, usage_of(T0 + 45.0, 0.5, 100, pods[1])])
    write_lines(tmp_path, PODS_FILE, [pod_record("a", T0)])
    found = total(["a"])["components"]["by_name"]["ml-pipeline"]
    assert found["cpu_cores"] == pytest.approx({"n": 10, "max": 1.0, "mean": 0.95})
    assert found["cpu_limit"] == 1.0, "of the pod that is there at the end"


def test_a_pod_that_follows_one_of_the_same_name_counts(
    total: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    write_lines(tmp_path, CLUSTER_FILE, [NAMED])
    states = [
        component_record(T0, uid="u-1"),
        component_record(T0 + 10.0, uid="u-1", gone=True),
        component_record(T0 + 11.0, uid="u-2"),
    ]
    write_lines(tmp_path, COMPONENTS_FILE, states)
    write_lines(tmp_path, USAGE_FILE, [usage_of(T0, 0.5, 100), usage_of(T0 + 20.0, 0.7, 100)])
    write_lines(tmp_path, PODS_FILE, [pod_record("a", T0)])
    found = total(["a"])["components"]["by_name"]["ml-pipeline"]
    assert found["cpu_cores"] == pytest.approx({"n": 2, "max": 0.7, "mean": 0.6})
    assert found["cpu_limit"] == 1.0


def _judged(total: dict[str, Any], name: str, condition: str) -> tuple[Judged, str]:
    threshold = parse_threshold(name, condition, "here", None)
    assert not hasattr(threshold, "remedy"), threshold
    (found,) = judge([threshold], Figures({}, total))
    return found.judged, str(found)


def test_components_stand_in_thresholds(total: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    _component_files(tmp_path, NAMED)
    write_lines(tmp_path, PODS_FILE, [pod_record("a", T0)])
    found = total(["a"])
    assert _judged(found, "components.ml-pipeline.restarts", "== 0") == (
        Judged.NOT_KEPT,
        "components.ml-pipeline.restarts is 1, not == 0",
    )
    assert _judged(found, "components.*.memory_share_of_limit.max", "< 90%")[0] is Judged.KEPT
    assert _judged(found, "components.*.memory_share_of_limit.max", "< 70%")[0] is Judged.NOT_KEPT
    assert _judged(found, "components.ml-pipeline.memory.max", "< 500MiB")[0] is Judged.NOT_KEPT
    assert _judged(found, "pods.driver.scheduling.max", "< 5s")[0] is Judged.KEPT
    assert _judged(found, "components.minio.restarts", "== 0")[0] is Judged.NOT_ENOUGH_DATA


def test_a_restart_of_a_component_fails_a_test_by_default(
    total: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    assert not [one for one in with_defaults([], [], Figures({}, {})) if "components" in one.metric.name]
    _component_files(tmp_path, NAMED)
    write_lines(tmp_path, PODS_FILE, [pod_record("a", T0)])
    figures = Figures({}, total(["a"]))
    (default,) = [one for one in with_defaults([], [], figures) if "components" in one.metric.name]
    (judged,) = judge([default], figures)
    assert judged.judged is Judged.NOT_KEPT
    assert judged.threshold.default


@pytest.mark.parametrize(
    ("ids", "named", "pods_read", "pods_of", "is_there"),
    [
        (["a"], False, True, "a", True),  # a run's pod appeared: this is the target's cluster
        (["a"], True, True, "b", False),  # none appeared, though they could: it is another
        (["a"], True, False, None, True),  # none could: the user names the cluster
        (["a"], False, False, None, False),  # none could, and nobody names it
        ([], True, True, None, True),  # a test without runs
        ([], False, True, None, False),
    ],
)
def test_a_cluster_counts_where_it_may_be_taken_for_the_targets(
    total: Callable[..., dict[str, Any]],
    tmp_path: Path,
    ids: list[str],
    named: bool,
    pods_read: bool,
    pods_of: str | None,
    is_there: bool,
) -> None:
    write_cluster(tmp_path, [pods_of] if pods_of else [], T0, named=named)
    assert ("components" in total(ids, found=pods_read)) is is_there
