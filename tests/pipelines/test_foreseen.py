"""Failures of runs that are foreseen from the pipeline and its parameters, as the emulator has them fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from small_pipelines import Draft, Simulation, task

from kfp_emulator.pipelines.ir import parse_pipeline
from kfp_perf.pipelines.package import read_pipeline

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Write = Callable[..., Path]

TEXT = {"text": ("parent", "text")}


def optional(definition: dict[str, Any], **more: Any) -> None:
    """Make all inputs of a component optional."""
    for each in definition["inputDefinitions"]["parameters"].values():
        each |= {"isOptional": True, **more}


def needed_by_a_task() -> list[dict[str, Any]]:
    draft = Draft()
    draft.container("work", inputs={"text": "STRING"})
    return draft.documents({"a": task("work", gets=TEXT), "b": task("work", gets=TEXT)}, {"text": "STRING"})


def not_needed() -> list[dict[str, Any]]:
    draft = Draft()
    draft.container("work", inputs={"text": "STRING"}, optional=True)
    return draft.documents({"a": task("work", gets=TEXT)}, {"text": "STRING"})


def passed_on(gets: dict[str, Any] = TEXT) -> list[dict[str, Any]]:
    """A nested pipeline whose input and task have defaults."""
    draft = Draft()
    draft.container("work", inputs={"text": "STRING"}, optional=True)
    draft.dag("inner", {"a": task("work", gets=TEXT)}, inputs={"text": "STRING"})
    optional(draft.components["inner"], defaultValue="x")
    return draft.documents({"group": task("inner", gets=gets)}, {"text": "STRING"})


def needed_in_a_nested_pipeline() -> list[dict[str, Any]]:
    draft = Draft()
    draft.container("work", inputs={"text": "STRING"})
    draft.dag("inner", {"a": task("work", gets=TEXT)}, inputs={"text": "STRING"})
    optional(draft.components["inner"])
    return draft.documents({"group": task("inner")}, {"text": "STRING"})


def imported_from_an_output() -> list[dict[str, Any]]:
    draft = Draft()
    draft.container("make", outputs={"uri": "STRING"})
    draft.importer("get")
    draft.executors["exec-get"]["importer"]["artifactUri"] = {"runtimeParameter": "uri"}
    tasks = {"make": task("make"), "get": task("get", gets={"uri": ("make", "uri")})}
    return draft.documents(tasks, {"text": "STRING"})


def list_used_within_its_loop() -> list[dict[str, Any]]:
    draft = Draft()
    draft.container("work", inputs={"all": "STRING"})
    draft.dag(
        "body",
        {"a": task("work", gets={"all": ("parent", "list")})},
        inputs={"list": "LIST", "item": "STRING"},
    )
    each = task("body", gets={"list": [1, 2]}, loop={"item": ("input", "list")})
    return draft.documents({"each": each}, {"text": "STRING"})


@pytest.mark.parametrize(
    ("make", "where", "what"),
    [
        (needed_by_a_task, "text", "is not given and has no default, and the tasks a, b fail without it"),
        (not_needed, "", ""),
        (passed_on, "text", "the task group/a fails without it"),
        (lambda: passed_on({}), "", ""),
        (lambda: passed_on({"text": "y"}), "", ""),
        (needed_in_a_nested_pipeline, "task group: the input text", "the task group/a fails without it"),
        (imported_from_an_output, "task get", "an output of make, which KFP does not look up"),
        (list_used_within_its_loop, "task each", "loops over list, which its task a uses too"),
    ],
)
def test_what_is_foreseen_happens(
    write: Write, make: Callable[[], list[dict[str, Any]]], where: str, what: str
) -> None:
    documents = make()
    optional(documents[0]["root"])
    problems = read_pipeline(write(*documents)).foreseen_failures({})
    assert [problem.where for problem in problems] == ([where] if where else [])
    assert all(what in problem.what for problem in problems)
    assert Simulation().run(parse_pipeline(documents)).phase == ("Failed" if where else "Succeeded")


def test_nothing_is_foreseen_of_a_parameter_that_is_given(write: Write) -> None:
    documents = needed_by_a_task()
    optional(documents[0]["root"])
    assert read_pipeline(write(*documents)).foreseen_failures({"text": "given"}) == []
