"""An importer is one pod that waits for nothing, and takes its URI from a constant or the DAG around it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from small_pipelines import Draft, Simulation, find, names, phases, pods, task


def test_an_importer_is_one_pod(draft: Draft) -> None:
    report = Simulation().run(draft.pipeline({"get-data": task(draft.importer("get"))}))
    assert names(report) == Counter({"root-driver": 1, "root": 1, "get-data": 1})
    assert pods(report) == 2


def test_an_importer_waits_for_nothing(draft: Draft) -> None:
    """KFP's compiler gives it no dependencies, whatever its task names."""
    draft.container("make", outputs={"out": "STRING"})
    tasks = {"make": task("make"), "get": task(draft.importer("get"), after=["make"])}
    report = Simulation().run(draft.pipeline(tasks))
    assert report.phase == "Succeeded"
    assert find(report, "get").started_at == find(report, "make-driver").started_at


@pytest.mark.parametrize(
    ("uri", "gets", "message"),
    [
        ({"runtimeParameter": "uri"}, {"uri": ("parent", "where")}, ""),
        ({"constant": ""}, {}, "empty Artifact URI constant value"),
        ({"runtimeParameter": "uri"}, {}, "cannot find parameter uri in task input"),
        ({"runtimeParameter": "uri"}, {"uri": ("make", "out")}, "parent DAG does not have input parameter "),
        ({"runtimeParameter": "uri"}, {"uri": ("parent", "empty")}, "empty artifact URI runtime value"),
        ({}, {}, "artifact uri not provided"),
    ],
)
def test_an_importer_takes_its_uri_from_a_constant_or_the_dag_around_it(
    draft: Draft, uri: Any, gets: Any, message: str
) -> None:
    draft.container("make", outputs={"out": "STRING"})
    draft.importer("get")
    draft.executors["exec-get"]["importer"]["artifactUri"] = uri
    tasks = {"make": task("make"), "get": task("get", gets=gets)}
    pipeline = draft.pipeline(tasks, inputs={"where": "STRING", "empty": "STRING"})
    report = Simulation().run(pipeline, where="gs://there", empty="")
    assert phases(report)["get"] == ("Failed" if message else "Succeeded")
    assert message in report.message
