"""Outputs that no container computes fit those that read them."""

from __future__ import annotations

import pytest
from small_pipelines import Draft, Simulation, names, phases, task


@pytest.mark.parametrize(("given", "phase"), [("fast", "Succeeded"), ("quick", "Failed")])
def test_a_literal_is_checked_by_the_driver(draft: Draft, given: str, phase: str) -> None:
    draft.container("work", inputs={"mode": "STRING"})
    draft.components["work"]["inputDefinitions"]["parameters"]["mode"]["literals"] = ["fast", "slow"]
    report = Simulation().run(draft.pipeline({"work": task("work", gets={"mode": given})}))
    assert report.phase == phase
    assert phases(report)["work-driver"] == phase


def test_made_up_outputs_send_runs_both_ways(draft: Draft) -> None:
    draft.container("flip", outputs={"side": "STRING"})
    draft.container("work", inputs={"side": "STRING"})
    tasks = {
        "flip": task("flip"),
        "work": task(
            "work", gets={"side": ("flip", "side")}, when="inputs.parameter_values['side'] == 'heads'"
        ),
    }
    pipeline = draft.pipeline(tasks)
    simulation = Simulation()
    found = [phases(simulation.run(pipeline, f"run-{number}"))["work"] for number in range(40)]
    assert 10 < found.count("Skipped") < 30
    assert set(found) == {"Succeeded", "Skipped"}


def test_made_up_items_and_fields_have_the_types_that_their_readers_want(draft: Draft) -> None:
    draft.container("rows", outputs={"all": "LIST", "fields": "STRUCT"})
    draft.container("count", inputs={"number": "NUMBER_INTEGER"})
    inner = task("count", gets={"number": ("parent", "row")})
    inner["inputs"]["parameters"]["number"]["parameterExpressionSelector"] = 'parseJson(string_value)["n"]'
    draft.dag("body", {"count": inner}, inputs={"items": "LIST", "row": "STRUCT"})
    single = task("count", gets={"number": ("rows", "fields")})
    single["inputs"]["parameters"]["number"]["parameterExpressionSelector"] = 'parseJson(string_value)["m"]'
    tasks = {
        "rows": task("rows"),
        "body": task("body", gets={"items": ("rows", "all")}, loop={"row": ("input", "items")}),
        "single": single,
    }
    report = Simulation().run(draft.pipeline(tasks))
    assert report.phase == "Succeeded", report.message
    assert names(report)["count"] >= 1


def test_made_up_outputs_are_among_the_literals_of_their_readers(draft: Draft) -> None:
    draft.container("choose", outputs={"mode": "STRING", "level": "NUMBER_INTEGER"})
    draft.container("work", inputs={"mode": "STRING", "level": "NUMBER_INTEGER"})
    parameters = draft.components["work"]["inputDefinitions"]["parameters"]
    parameters["mode"]["literals"] = ["fast", "slow"]
    parameters["level"]["literals"] = [10, 20]
    gets = {"mode": ("choose", "mode"), "level": ("choose", "level")}
    pipeline = draft.pipeline({"choose": task("choose"), "work": task("work", gets=gets)})
    assert {Simulation(seed=seed).run(pipeline).phase for seed in range(5)} == {"Succeeded"}
