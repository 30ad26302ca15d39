"""What is foreseen from a pipeline and its parameters is what happens in the emulator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from small_pipelines import Draft, Simulation, names, task

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
    problems = read_pipeline(write(*documents)).foreseen_problems({})
    assert [problem.where for problem in problems] == ([where] if where else [])
    assert all(what in problem.what for problem in problems)
    assert Simulation().run(parse_pipeline(documents)).phase == ("Failed" if where else "Succeeded")


@pytest.mark.parametrize(
    ("tasks", "what", "times"),
    [
        ({"tidy": {"after": ["a"]}}, {}, {"tidy": 1}),
        ({"tidy": {"after": ["group"]}}, {}, {"tidy": 1}),
        (
            {"tidy": {"after": ["a", "b"]}},
            {"task tidy": "runs 2 times, on the exit of each of a, b"},
            {"tidy": 2},
        ),
        (
            {"one": {"after": ["a"]}, "two": {"after": ["a"]}},
            {"task one": "never runs: two runs in its place"},
            {"one": 0, "two": 1},
        ),
        (
            {"one": {"after": ["a"]}, "two": {"after": ["one"]}},
            {"task two": "never runs: it follows no task or group with an exit hook"},
            {"one": 1, "two": 0},
        ),
        ({"tidy": {"after": ["each"]}}, {"task tidy": "never runs: it follows no task or"}, {"tidy": 0}),
        ({"tidy": {"after": ["get"]}}, {"task tidy": "never runs: it follows no task or"}, {"tidy": 0}),
    ],
)
def test_exit_tasks_that_do_not_run_once(
    write: Write, tasks: dict[str, Any], what: dict[str, str], times: dict[str, int]
) -> None:
    draft = Draft()
    draft.container("work")
    draft.dag("inner", {"w": task("work")}, inputs={"item": "NUMBER_INTEGER"})
    optional(draft.components["inner"])
    others = {
        "a": task("work"),
        "b": task("work"),
        "group": task("inner"),
        "each": task("inner", loop={"item": "[1]"}),
        "get": task(draft.importer("get")),
    }
    exits = {name: task("work", exit_=True, **given) for name, given in tasks.items()}
    documents = draft.documents({**others, **exits})
    problems = read_pipeline(write(*documents)).foreseen_problems({})
    assert [problem.where for problem in problems] == list(what)
    assert all(what[problem.where] in problem.what for problem in problems)
    ran = names(Simulation().run(parse_pipeline(documents)))
    assert {name: ran[name] for name in tasks} == times


def test_nothing_is_foreseen_of_a_parameter_that_is_given(write: Write) -> None:
    documents = needed_by_a_task()
    optional(documents[0]["root"])
    assert read_pipeline(write(*documents)).foreseen_problems({"text": "given"}) == []
