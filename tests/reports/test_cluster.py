"""Pods and components in reports: where pods waited, what the components used, and what that says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from made_cluster import component_record, pod_record, usage_of, write_cluster, write_lines
from sample_results import STARTED, Load, SampleTest, make_result

from kfp_perf.evidence.kubernetes.records import COMPONENTS_FILE, PODS_FILE, USAGE_FILE
from kfp_perf.execution.document import result_document
from kfp_perf.reports.cluster_signs import CLUSTER_SIGNS
from kfp_perf.reports.csv_tables import draw_csv
from kfp_perf.reports.story import story_of
from kfp_perf.reports.story.blocks import Figure, Flag, Items, Prose, Section, Table, Tone
from kfp_perf.result.reader import TestResult

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

IDS = [f"00000000-0000-4000-8000-{place:012d}" for place in range(20)]


@pytest.fixture
def reported(tmp_path: Path) -> Callable[..., dict[str, Section]]:
    """The sections of the report on a test with 20 runs, and on the evidence that a function writes."""

    def make(write: Callable[[Path], None]) -> dict[str, Section]:
        result = make_result(tmp_path, SampleTest(loads=(Load("steady", 20, 0.0, 120.0, 30.0),)))
        write(result.path)
        again = TestResult(result.path)
        document = result_document(again, finished=STARTED + 300.0)
        return {one.id: one for one in story_of(TestResult(result.path, document)).sections}

    return make


def table_of(section: Section, place: int = 0) -> Table:
    """A table of a section."""
    return [block for block in section.blocks if isinstance(block, Table)][place]


def test_where_pods_waited(reported: Callable[..., dict[str, Section]]) -> None:
    def write(folder: Path) -> None:
        write_cluster(folder, IDS, STARTED)
        stuck: dict[str, Any] = {
            "scheduled": None,
            "started": None,
            "finished": None,
            "ended": None,
            "over": False,
            "node": "",
        }
        pods = [
            pod_record(
                IDS[0], STARTED + 90, **stuck, unschedulable="0/3 nodes are available", phase="Pending"
            )
        ]
        write_lines(folder, PODS_FILE, pods)

    section = reported(write)["pods"]
    assert section.title == "Where did pods wait?"
    assert section.lead == (
        "41 pods of 20 runs were seen. A driver's pod took 15.0 s on average, 5.00 s of it work; of the rest, "
        "container start took most: 4.00 s. A task's pod took 15.0 s on average, 5.00 s of it work; of the rest, "
        "container start took most: 4.00 s."
    )
    (chart,) = [block.chart for block in section.blocks if isinstance(block, Figure)]
    assert "image pull 3.00 s" in chart.alt
    stages = table_of(section)
    assert stages.rows[0][:4] == ["waiting for a node", "21", Flag("1", Tone.WARNING), "2.00 s"]
    nodes = table_of(section, 1)
    assert nodes.rows[0][:2] == ["node-1", "40"]
    items = [text for block in section.blocks if isinstance(block, Items) for text in block.texts]
    assert "1 pod (2.4 %) found no node at first" in items
    assert "1 times: 0/3 nodes are available" not in items
    assert "0/3 nodes are available (1 pod)" in items


def test_what_components_used_and_that_one_restarted(reported: Callable[..., dict[str, Section]]) -> None:
    def write(folder: Path) -> None:
        write_cluster(folder, IDS, STARTED)
        write_lines(folder, COMPONENTS_FILE, [component_record(STARTED + 60, restarts=1, oom_kills=1)])
        write_lines(folder, USAGE_FILE, [usage_of(STARTED + 75, 0.5, 1000.0)])

    section = reported(write)["components"]
    assert section.lead == "Restarted during the test: ml-pipeline."
    (row,) = table_of(section).rows
    assert row[:3] == ["ml-pipeline", Flag("1", Tone.BAD), Flag("1", Tone.BAD)]
    assert Flag("97.7 %", Tone.WARNING) in row
    charts = [block.chart for block in section.blocks if isinstance(block, Figure)]
    assert [chart.name for chart in charts] == ["component-cpu-cores", "component-memory-share-of-limit"]
    assert "ml-pipeline restarted" in str(charts[0].draw(800)[0])


def test_what_an_emulator_made_up_is_marked(reported: Callable[..., dict[str, Section]]) -> None:
    def write(folder: Path) -> None:
        write_cluster(folder, IDS, STARTED)
        write_lines(folder, COMPONENTS_FILE, [component_record(STARTED + 1, modelled=True)])

    section = reported(write)["components"]
    texts = [block.text for block in section.blocks if isinstance(block, Prose)]
    assert any("a formula of the emulator" in text for text in texts)


def test_a_cluster_that_is_not_the_targets_is_left_out_and_named(
    reported: Callable[..., dict[str, Section]],
) -> None:
    found = reported(lambda folder: write_cluster(folder, [], STARTED, named=False))
    assert "pods" not in found
    (text,) = [block.text for block in found["components"].blocks if isinstance(block, Prose)]
    assert text.startswith(
        "The cluster that was read is context kind (https://kind), and no pod of the test's 20 runs appeared in it"
    )
    assert not [block for block in found["components"].blocks if isinstance(block, Table)]


def test_csv_has_pods_and_components(tmp_path: Path) -> None:
    result = make_result(tmp_path, SampleTest(loads=(Load("steady", 20, 0.0, 120.0, 30.0),)))
    write_cluster(result.path, IDS, STARTED)
    document = result_document(TestResult(result.path), finished=STARTED + 300.0)
    text = draw_csv(TestResult(result.path, document))["evidence.csv"].decode()
    assert "components.ml-pipeline.restarts,count,0" in text
    assert "components.ml-pipeline.memory_share_of_limit.max,share,0.75" in text
    assert "pods.driver.scheduling.mean,seconds,2.0" in text


def component(**figures: Any) -> dict[str, Any]:
    """The total of a test with one component."""
    return {"components": {"by_name": {"mysql": figures}}}


def stages(pull: float, work: float) -> dict[str, Any]:
    """The means of two stages."""
    return {"pull_seconds": {"mean": pull}, "work_seconds": {"mean": work}}


@pytest.mark.parametrize(
    ("total", "text"),
    [
        ({}, ""),
        (component(restarts=0), ""),
        (component(restarts=1), "mysql restarted 1 time during the test."),
        (
            component(restarts=1, oom_kills=1),
            "mysql restarted 1 time during the test, because it had used all of its memory.",
        ),
        (
            component(restarts=2, oom_kills=1),
            "mysql restarted 2 times during the test, 1 of them because it had used all of its memory.",
        ),
        (component(memory_share_of_limit={"max": 0.953}), "mysql used up to 95 % of its memory limit."),
        (component(cpu_share_of_limit={"mean": 0.5, "max": 1.0}), ""),
        (
            component(cpu_share_of_limit={"mean": 0.97}),
            "mysql used 97 % of its CPU limit on average: Kubernetes throttles it there.",
        ),
        (
            {"components": {**component(memory_share_of_limit={"max": 1.0})["components"], "modelled": True}},
            "",
        ),
        ({"pods": {"seen": 100, "unschedulable": 2}}, ""),
        (
            {"pods": {"seen": 100, "unschedulable": 30}},
            "30 % of the runs' pods found no node at first: the cluster had no room for them.",
        ),
        ({"pods": {"executor": stages(1.0, 9.0)}}, ""),
        (
            {"pods": {"executor": stages(30.0, 30.0)}},
            "Of the life of a task's pod, 50 % was the pull of images, 30.0 s on average.",
        ),
    ],
)
def test_what_they_say_of_the_bottleneck(total: dict[str, Any], text: str) -> None:
    assert " ".join(filter(None, (sign(total) for sign in CLUSTER_SIGNS))) == text
