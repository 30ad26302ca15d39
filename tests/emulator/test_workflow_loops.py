"""Loops make the nodes and pods that they make on a real installation."""

from __future__ import annotations

from collections import Counter
from typing import Any

from small_pipelines import START, Draft, Simulation, names, phases, pods, task

from kfp_emulator.clock import SECOND
from kfp_emulator.cluster.outcomes import Outcome
from kfp_emulator.cluster.timing import Profile, constant


def loop_pipeline(draft: Draft, items: Any, **given: Any) -> Any:
    draft.container("work", inputs={"item": "NUMBER_INTEGER"})
    draft.dag(
        "body", {"work": task("work", gets={"item": ("parent", "item")})}, inputs={"item": "NUMBER_INTEGER"}
    )
    return draft.pipeline({"for-loop-1": task("body", loop={"item": items}, **given)})


def test_a_loop_over_static_items(draft: Draft) -> None:
    report = Simulation().run(loop_pipeline(draft, "[10, 20, 30]"))
    assert report.phase == "Succeeded"
    assert names(report) == Counter(
        {
            "root-driver": 1,
            "root": 1,
            "for-loop-1": 1,
            "iteration-driver": 1,
            "iteration-iterations": 1,
            "iteration-iterations(0:0)": 1,
            "iteration-iterations(1:1)": 1,
            "iteration-iterations(2:2)": 1,
            "iteration-item-driver": 3,
            "iteration-item": 3,
            "work-driver": 3,
            "work": 3,
            "executor": 3,
        }
    )
    assert pods(report) == 1 + 1 + 3 * (1 + 2)


def test_a_loop_over_nothing_is_skipped_within(draft: Draft) -> None:
    report = Simulation().run(loop_pipeline(draft, "[]"))
    assert report.phase == "Succeeded"
    assert phases(report)["iteration-iterations"] == "Skipped"
    assert phases(report)["for-loop-1"] == "Succeeded"
    assert pods(report) == 2


def test_a_loop_keeps_to_its_limit(draft: Draft) -> None:
    simulation = Simulation(Profile(executor_seconds=constant(10)))
    report = simulation.run(loop_pipeline(draft, "[1, 2, 3, 4, 5]", parallelism=2))
    edges = []
    for event in simulation.truth:
        if event.what in {"executor_start", "executor_end"}:
            edges.append((event.at_us, 1 if event.what == "executor_start" else -1))
    at_once = most = 0
    for _, change in sorted(edges):
        at_once += change
        most = max(most, at_once)
    assert most == 2
    assert report.finished_at == START + 30 * SECOND


def test_a_loop_lists_iterations_that_wait_for_their_turn(draft: Draft) -> None:
    simulation = Simulation(Profile(executor_seconds=constant(10)))
    simulation.run(loop_pipeline(draft, "[1, 2, 3]", parallelism=1))
    made = set()
    for report in simulation.reports:
        nodes = {node.node_id: node.display_name for node in report.nodes}
        group = next((node for node in report.nodes if node.display_name == "iteration-iterations"), None)
        if group is not None:
            assert len(group.children) == 3
            made.add(sum(child in nodes for child in group.children))
    assert made == {1, 2, 3}


def test_a_loop_over_an_output_and_what_it_collects(draft: Draft) -> None:
    draft.container("make", outputs={"items": "LIST"})
    draft.container("double", inputs={"item": "STRING"}, outputs={"out": "STRING"})
    draft.container("gather", inputs={"all": "LIST"})
    draft.dag(
        "body",
        {"double": task("double", gets={"item": ("parent", "item")})},
        inputs={"items": "LIST", "item": "STRING"},
        outputs={"out": ("double", "out")},
    )
    tasks = {
        "make": task("make"),
        "for-loop-1": task("body", gets={"items": ("make", "items")}, loop={"item": ("input", "items")}),
        "gather": task("gather", gets={"all": ("for-loop-1", "out")}),
    }
    simulation = Simulation()
    simulation.cluster.set_outcome(Outcome(task="make", outputs={"items": ["a", "b", "c", "d"]}))
    report = simulation.run(draft.pipeline(tasks))
    assert report.phase == "Succeeded"
    assert names(report)["double"] == 4
    assert phases(report)["gather"] == "Succeeded"


def test_a_loop_over_what_is_no_list_fails_in_its_driver(draft: Draft) -> None:
    report = Simulation().run(loop_pipeline(draft, '"text"'))
    assert report.phase == "Failed"
    assert phases(report)["iteration-driver"] == "Failed"
    assert phases(report)["iteration-iterations"] == "Omitted"
    assert "not a list" in report.message
