from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from kfp_perf.errors import InputError
from kfp_perf.pipelines.graph import dags
from kfp_perf.pipelines.package import PipelinePackage, read_pipeline

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Write = Callable[..., Path]


def caching(content: bytes) -> list[Any]:
    spec = next(yaml.safe_load_all(content))
    return [task.get("cachingOptions") for dag in dags(spec) for task in dag["tasks"].values()]


def test_a_pipeline_is_read(write: Write, spec: dict[str, Any]) -> None:
    package = read_pipeline(write(spec))
    assert package.name == "small"
    assert [task.path for task in package.tasks] == [("group",), ("work",), ("group", "inner")]
    assert package.task_count == 2
    assert [task.name for task in package.tasks if task.is_group] == ["group"]
    text, count = package.parameters["text"], package.parameters["count"]
    assert (text.type, text.required, text.default) == ("STRING", True, None)
    assert (count.type, count.required, count.default) == ("NUMBER_INTEGER", False, 3)


def test_caching_is_switched_for_every_task_of_every_dag(write: Write, spec: dict[str, Any]) -> None:
    platform: dict[str, Any] = {"platforms": {"kubernetes": {"deploymentSpec": {}}}}
    path = write(spec, platform)
    package = read_pipeline(path)
    assert package.content(None) == path.read_bytes()
    assert caching(package.content(False)) == [{}, {}, {}]
    assert caching(package.content(True)) == [{"enableCache": True}] * 3
    assert list(yaml.safe_load_all(package.content(True)))[1] == platform
    assert read_pipeline(path).spec == package.spec, "switching must not change the package"


def test_others_pipelines_are_read_and_switched(others_pipeline: Path, tmp_path: Path) -> None:
    package = read_pipeline(others_pipeline)
    assert package.task_count >= 1
    assert package.sequential_steps >= 3
    assert package.content(None) == others_pipeline.read_bytes()
    for on in (True, False):
        switched = tmp_path / "switched.yaml"
        switched.write_bytes(package.content(on))
        again = read_pipeline(switched)
        assert all(bool(options) is on for options in caching(switched.read_bytes()))
        assert (again.name, again.parameters, again.tasks, again.platform) == (
            package.name,
            package.parameters,
            package.tasks,
            package.platform,
        )


@pytest.fixture
def package(write: Write, spec: dict[str, Any]) -> PipelinePackage:
    return read_pipeline(write(spec))


@pytest.mark.parametrize(
    ("values", "problems"),
    [
        ({"text": "a"}, {}),
        ({"text": "", "count": 1, "share": 0.5, "flag": False, "items": [], "options": {}, "newer": [1]}, {}),
        ({"text": "a", "count": 2.0, "share": 1}, {}),
        ({"text": "a", "count": 1.5}, {}),
        ({"text": "a", "flag": None}, {"flag": "must be true or false (BOOLEAN), got null"}),
        ({}, {"text": "is missing: the pipeline small requires it"}),
        ({"text": None}, {"text": "must be a text (STRING), got null"}),
        ({"text": 5}, {"text": "must be a text (STRING), got 5"}),
        ({"text": "a", "count": "1"}, {"count": 'must be a number (NUMBER_INTEGER), got "1"'}),
        ({"text": "a", "count": True}, {"count": "must be a number (NUMBER_INTEGER), got true"}),
        ({"text": "a", "share": "x"}, {"share": 'must be a number (NUMBER_DOUBLE), got "x"'}),
        ({"text": "a", "share": False}, {"share": "must be a number (NUMBER_DOUBLE), got false"}),
        ({"text": "a", "flag": 1}, {"flag": "must be true or false (BOOLEAN), got 1"}),
        ({"text": "a", "items": {}}, {"items": "must be a list (LIST), got {}"}),
        ({"text": "a", "options": []}, {"options": "must be an object (STRUCT), got []"}),
        (
            {"txt": "a"},
            {
                "txt": "is not a parameter of the pipeline small",
                "text": "is missing: the pipeline small requires it",
            },
        ),
    ],
)
def test_parameters(package: PipelinePackage, values: dict[str, Any], problems: dict[str, str]) -> None:
    assert {problem.where: problem.what for problem in package.check_parameters(values)} == problems


def test_an_unknown_parameter_is_answered_with_the_nearest(package: PipelinePackage) -> None:
    remedies = {
        problem.where: problem.remedy
        for problem in package.check_parameters({"text": "a", "cuont": 1, "zzz": 2})
    }
    assert remedies["cuont"] == "did you mean count?"
    assert remedies["zzz"].startswith("parameters of small: count, flag")


def test_a_literal_is_one_of_those_allowed(write: Write, spec: dict[str, Any]) -> None:
    spec["root"]["inputDefinitions"]["parameters"]["text"]["literals"] = ["dev", "prod"]
    package = read_pipeline(write(spec))
    assert package.check_parameters({"text": "prod"}) == []
    (problem,) = package.check_parameters({"text": "test"})
    assert (problem.what, problem.remedy) == ('got "test", which is not allowed', 'use one of "dev", "prod"')


def test_null_is_answered_by_what_to_do_instead(package: PipelinePackage) -> None:
    remedies = [problem.remedy for problem in package.check_parameters({"text": None, "flag": None})]
    assert remedies == ["write it as JSON of that type", "leave it out for its default"]


HOLDS_GROUP = {"dag": {"tasks": {"a": {"componentRef": {"name": "comp-group"}}}}}
WORKFLOW = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": "x"}, "spec": {}}


@pytest.mark.parametrize(
    ("documents", "what"),
    [
        ((), "is empty"),
        (("text",), "is not a compiled pipeline"),
        (([1, 2],), "is not a compiled pipeline"),
        (({"a": 1},), "is not a compiled pipeline: it needs pipelineInfo and root"),
        (({"platforms": {}},), "is not a compiled pipeline"),
        ((WORKFLOW,), "is an Argo workflow (KFP version 1)"),
        (({"pipelineInfo": [], "root": {}},), "it needs pipelineInfo and root"),
    ],
)
def test_yaml_that_is_no_pipeline(write: Write, documents: tuple[Any, ...], what: str) -> None:
    with pytest.raises(InputError) as caught:
        read_pipeline(write(*documents))
    assert what in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value", "what"),
    [
        (("pipelineInfo", "name"), "Big Name", "is not a pipeline's name, got 'Big Name'"),
        (("pipelineInfo", "name"), None, "is not a pipeline's name, got None"),
        (("schemaVersion",), "2.0.0", "schemaVersion: must be 2.1.0, got 2.0.0"),
        (("schemaVersion",), "", "schemaVersion: must be 2.1.0, got none"),
        (("root", "dag"), None, "root.dag: is missing"),
        (
            ("root", "dag", "tasks", "work", "componentRef", "name"),
            "comp-x",
            "task work: refers to no component",
        ),
        (("root", "dag", "tasks", "work", "componentRef"), 5, "its tasks cannot be read"),
        (("root", "dag", "tasks", "work"), None, "its tasks cannot be read"),
        (("root", "dag", "tasks"), [1], "its tasks cannot be read"),
        (("root", "dag", "tasks", "work", "dependentTasks"), ["group"], "has tasks that wait for each other"),
        (("components", "comp-work"), HOLDS_GROUP, ": holds itself"),
        (("root", "inputDefinitions", "parameters", "text"), "STRING", "parameter text: must be an object"),
        (("components",), [], "it needs pipelineInfo and root"),
    ],
)
def test_a_broken_pipeline(
    write: Write, spec: dict[str, Any], path: tuple[str, ...], value: Any, what: str
) -> None:
    broken = copy.deepcopy(spec)
    place = broken
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(InputError) as caught:
        read_pipeline(write(broken))
    assert what in str(caught.value)


def test_all_faults_of_a_pipeline_are_told(write: Write, spec: dict[str, Any]) -> None:
    spec["pipelineInfo"]["name"] = "A"
    spec["schemaVersion"] = "1"
    spec["root"]["dag"]["tasks"]["work"]["componentRef"]["name"] = "none"
    with pytest.raises(InputError) as caught:
        read_pipeline(write(spec))
    assert len(caught.value.problems) == 3


def test_nesting_that_explodes_is_refused(write: Write, spec: dict[str, Any]) -> None:
    for level in range(8):
        inner = {"componentRef": {"name": f"comp-{level + 1}" if level < 7 else "comp-work"}}
        spec["components"][f"comp-{level}"] = {
            "dag": {"tasks": {f"t{number}": dict(inner) for number in range(10)}}
        }
    spec["root"]["dag"]["tasks"]["work"]["componentRef"]["name"] = "comp-0"
    with pytest.raises(InputError, match="expands to more than"):
        read_pipeline(write(spec))


def test_archives_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is none of \.yaml"):
        read_pipeline(tmp_path / "p.zip")


def test_json_is_yaml_too(write: Write, spec: dict[str, Any]) -> None:
    assert read_pipeline(write(spec, name="p.json")).name == "small"


def test_numbers_of_json_stay_numbers_and_texts_stay_texts(tmp_path: Path, spec: dict[str, Any]) -> None:
    """What is uploaded is read by yaml.v3 of Go, which takes a plain 1e5, or 0o14, for a number."""
    parameters = spec["root"]["inputDefinitions"]["parameters"]
    parameters["share"]["defaultValue"] = 1e-05
    parameters["text"]["defaultValue"] = "1e5"
    (tmp_path / "p.json").write_text(json.dumps(spec))
    package = read_pipeline(tmp_path / "p.json")
    assert package.parameters["share"].default == 1e-05
    assert package.parameters["text"].default == "1e5"
    content = package.content(cache_enabled=False).decode()
    assert "defaultValue: 1.0e-05\n" in content
    assert "defaultValue: '1e5'\n" in content
