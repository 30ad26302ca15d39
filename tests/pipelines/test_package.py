from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from kfp_perf.errors import InputError
from kfp_perf.pipelines.documents import parse_yaml
from kfp_perf.pipelines.graph import dags
from kfp_perf.pipelines.ir_fields import ENUMS, MESSAGES, ONE_OF
from kfp_perf.pipelines.package import PipelinePackage, read_pipeline
from kfp_perf.pipelines.shape import TaskKind, shape_of

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
    assert shape_of(package.spec).names(TaskKind.CONTAINER) == {"work", "inner"}
    text, count = package.parameters["text"], package.parameters["count"]
    assert (text.type, text.required, text.default) == ("STRING", True, None)
    assert (count.type, count.required, count.default) == ("NUMBER_INTEGER", False, 3)


def test_what_kfp_makes_one_pod_of_and_what_it_starts_at_once(write: Write, spec: dict[str, Any]) -> None:
    executors, tasks = spec["deploymentSpec"]["executors"], spec["root"]["dag"]["tasks"]
    executors["exec-get"] = {"importer": {"artifactUri": {"constant": "gs://there"}}}
    executors["exec-volume"] = {"container": {"image": "argostub/createpvc"}}
    for name in ("get", "volume"):
        spec["components"][f"comp-{name}"] = {"executorLabel": f"exec-{name}"}
        tasks[name] = {"componentRef": {"name": f"comp-{name}"}, "dependentTasks": ["work"]}
    shape = shape_of(read_pipeline(write(spec)).spec)
    assert shape.names(TaskKind.IMPORTER) == {"get", "volume"}
    assert shape.tasks["get"].dependencies == frozenset()
    assert shape.tasks["volume"].dependencies == {"work"}


def test_caching_is_switched_for_every_task_of_every_dag(write: Write, spec: dict[str, Any]) -> None:
    platform: dict[str, Any] = {"platforms": {"kubernetes": {"deploymentSpec": {}}}}
    path = write(spec, platform)
    package = read_pipeline(path)
    assert package.content(None) == path.read_bytes()
    assert caching(package.content(False)) == [{}, {}, {}]
    assert caching(package.content(True)) == [{"enableCache": True}] * 3
    assert list(yaml.safe_load_all(package.content(True)))[1] == platform
    assert read_pipeline(path).spec == package.spec, "switching must not change the package"


def without_caching(document: Any) -> Any:
    """A document without the caching options of its tasks."""
    copied = copy.deepcopy(document)
    for component in (copied.get("root", {}), *copied.get("components", {}).values()):
        for task in component.get("dag", {}).get("tasks", {}).values():
            task.pop("cachingOptions", None)
    return copied


def test_others_pipelines_are_read_and_the_copy_changes_nothing_but_caching(others_pipeline: Path) -> None:
    package = read_pipeline(others_pipeline)
    assert package.sequential_steps >= 3
    assert package.content(None) == others_pipeline.read_bytes()
    for on in (True, False):
        switched = parse_yaml(package.content(on), "switched")
        assert list(map(without_caching, switched)) == list(map(without_caching, package.documents))
        assert all(bool(options.get("enableCache")) is on for options in caching(package.content(on)))


@pytest.fixture
def package(write: Write, spec: dict[str, Any]) -> PipelinePackage:
    return read_pipeline(write(spec))


@pytest.mark.parametrize(
    ("values", "problems"),
    [
        ({"text": "a"}, {}),
        (
            {"text": "", "count": 1, "share": 0.5, "flag": False, "items": [], "options": {}, "config": [1]},
            {},
        ),
        ({"text": "a", "count": 2.0, "share": 1}, {}),
        ({"text": "a", "count": 1.5}, {}),
        ({"text": "a", "flag": None}, {"flag": "must be true or false (BOOLEAN), got null"}),
        ({}, {"text": "is missing: the pipeline small requires it"}),
        ({"text": None}, {"text": "must be a string (STRING), got null"}),
        ({"text": 5}, {"text": "must be a string (STRING), got 5"}),
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
    assert remedies["zzz"].startswith("parameters of small: config, count")


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
WORK = ("root", "dag", "tasks", "work")
TASKS = WORK[:-1]
TASK = {"componentRef": {"name": "comp-work"}}
TIDY = {**TASK, "dependentTasks": ["work"], "triggerPolicy": {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}}
PARAMETERS = ("root", "inputDefinitions", "parameters")


@pytest.mark.parametrize(
    ("path", "value", "what"),
    [
        (("pipelineInfo", "name"), "Big Name", "pipelineInfo.name: is not a valid name, got 'Big Name'"),
        (("pipelineInfo", "name"), None, "pipelineInfo.name: is missing"),
        (("pipelineInfo", "name"), 5, "pipelineInfo.name: must be a string, got 5"),
        (("schemaVersion",), "2.0.0", "schemaVersion: must be 2.1.0, got 2.0.0"),
        (("schemaVersion",), "2.1.1", "schemaVersion: must be 2.1.0, got 2.1.1"),
        (("schemaVersion",), "", "schemaVersion: must be 2.1.0, got none"),
        (("schemaVersion",), 2.1, "schemaVersion: must be a string, got 2.1"),
        (("root", "dag"), None, "root.dag: is missing"),
        ((*WORK, "componentRef", "name"), "comp-x", "task work: refers to a component that does not exist"),
        ((*WORK, "componentRef"), 5, "root.dag.tasks.work.componentRef: must be an object, got 5"),
        (WORK, [1], "root.dag.tasks.work: must be an object, got [1]"),
        (("root", "dag", "tasks"), [1], "root.dag.tasks: must be an object, got [1]"),
        ((*WORK, "dependentTasks"), ["group"], "has tasks that depend on each other: group, work"),
        ((*WORK, "dependentTasks"), ["none"], "task work: depends on a task that does not exist: none"),
        (("components", "comp-work"), HOLDS_GROUP, "contains itself"),
        (("components", "comp-work", "executorLabel"), "none", "refers to an executor that does not exist"),
        (PARAMETERS, "STRING", "root.inputDefinitions.parameters: must be an object"),
        ((*PARAMETERS, "text", "parameterType"), "TEXT", "parameterType: must be one of NUMBER_DOUBLE"),
        ((*PARAMETERS, "text", "isOptional"), "yes", "isOptional: must be true or false, got 'yes'"),
        (("components",), [], "components: must be an object"),
        # what protojson does not know, it refuses
        ((*WORK, "dependsOn"), ["group"], "root.dag.tasks.work.dependsOn: is not a field of a pipeline"),
        ((*WORK, "depndentTasks"), [], "did you mean dependentTasks?"),
        (("description",), "x", "p.yaml: description: is not a field of a pipeline"),
        ((*WORK, "caching_options"), {}, "caching_options: is given twice, in camelCase and in snake_case"),
        (("components", "comp-work", "dag"), {"tasks": {}}, "has dag and executorLabel, of which only one"),
        ((*WORK, "retryPolicy"), {"maxRetryCount": 1.5}, "maxRetryCount: must be a whole number, got 1.5"),
        ((*WORK, "retryPolicy"), {"backoffDuration": 30}, 'must be a duration such as "30s", got 30'),
        ((*WORK, "dependentTasks"), "group", "dependentTasks: must be a list, got 'group'"),
        ((*WORK, "dependentTasks"), [None], "dependentTasks[0]: must be a string, got None"),
        (("deploymentSpec", "executors"), [1], "deploymentSpec.executors: must hold an object for each"),
        # what the server takes at upload, and refuses of every run
        (TASKS, {"tidy": {**TIDY, "dependentTasks": []}}, "root: has no task but exit tasks"),
        (("components", "comp-group", "dag"), {}, "comp-group: has no task"),
        (
            (*TASKS, "snake_case"),
            TASK,
            "task snake_case: has a name with characters that Argo does not allow",
        ),
        ((*TASKS, "2nd"), TASK, "task 2nd: has a name that begins with a digit"),
        ((*TASKS, "n" * 122), TASK, "has too long a name"),
        ((*TASKS, "n" * 120), {**TASK, "parameterIterator": {}}, "KFP makes comp-work-nnn"),
        ((*TASKS, "each"), {**TASK, "artifactIterator": {}}, "task each: loops over artifacts"),
        (
            ("deploymentSpec", "executors", "exec-work"),
            {"customJob": {}},
            "component comp-work: has no container, importer or DAG",
        ),
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


def test_what_the_server_accepts_in_other_spellings_is_accepted(write: Write, spec: dict[str, Any]) -> None:
    """Protojson takes snake_case, nulls, enumerations by number, and numbers in strings."""
    task = spec["root"]["dag"]["tasks"]["group"]
    task["dependent_tasks"] = task.pop("dependentTasks")
    task["caching_options"] = {"enable_cache": True, "cache_key": "k"}
    task["retryPolicy"] = {"maxRetryCount": "3", "backoffFactor": "1.5", "backoffDuration": None}
    task["triggerPolicy"] = {"strategy": 2}
    spec["pipeline_info"] = spec.pop("pipelineInfo")
    spec["defaultPipelineRoot"] = None
    package = read_pipeline(write(spec))
    read = package.spec["root"]["dag"]["tasks"]["group"]
    assert read["dependentTasks"] == ["work"]
    assert read["triggerPolicy"]["strategy"] == "ALL_UPSTREAM_TASKS_COMPLETED"
    assert "backoffDuration" not in read["retryPolicy"]
    off, on = (parse_yaml(package.content(enabled), "x")[0] for enabled in (False, True))
    assert off["root"]["dag"]["tasks"]["group"]["caching_options"] == {"cache_key": "k"}
    assert on["root"]["dag"]["tasks"]["group"]["caching_options"] == {"enableCache": True, "cache_key": "k"}
    assert off["defaultPipelineRoot"] is None


def test_what_a_newer_sdk_writes_is_left_to_the_server(write: Write, spec: dict[str, Any]) -> None:
    task = spec["root"]["dag"]["tasks"]["work"]
    task["artifactIterator"] = {}
    task["priority"] = 1
    spec["root"]["inputDefinitions"]["parameters"]["text"]["parameterType"] = "DATE"
    for version in ("kfp-2.17.9", "kfp-1.8.22", "tfx-1.16", ""):
        with pytest.raises(InputError, match="priority: is not a field of a pipeline"):
            read_pipeline(write({**spec, "sdkVersion": version}))
    for version in ("kfp-2.18.0", "kfp-2.18.0rc1", "kfp-3.0.0"):
        package = read_pipeline(write({**spec, "sdkVersion": version}))
        assert package.check_parameters({"text": 5}) == []
        assert parse_yaml(package.content(False), "x")[0]["root"]["dag"]["tasks"]["work"]["priority"] == 1
    task["dependentTasks"] = 5
    with pytest.raises(InputError, match="dependentTasks: must be a list"):
        read_pipeline(write({**spec, "sdkVersion": "kfp-2.18.0"}))


@pytest.mark.sdk
def test_the_fields_are_those_of_the_sdk() -> None:
    from kfp.pipeline_spec import pipeline_spec_pb2

    pending = [("PipelineSpec", pipeline_spec_pb2.PipelineSpec.DESCRIPTOR)]
    compared: set[str] = set()
    while pending:
        name, descriptor = pending.pop()
        if name in compared:
            continue
        compared.add(name)
        assert set(MESSAGES[name]) == {field.json_name for field in descriptor.fields}
        groups = [
            {field.json_name for field in group.fields}
            for group in descriptor.oneofs
            if len(group.fields) > 1
        ]
        assert groups == ([set(ONE_OF[name])] if name in ONE_OF else [])
        for field in descriptor.fields:
            kind = MESSAGES[name][field.json_name].split()[-1]
            message, enum = field.message_type, field.enum_type
            if message is not None and message.GetOptions().map_entry:
                message, enum = message.fields_by_name["value"].message_type, None
            if enum is not None:
                assert [value.name for value in enum.values] == list(ENUMS[kind])
            elif kind in MESSAGES:
                pending.append((kind, message))
    assert compared == set(MESSAGES)


@pytest.mark.parametrize("levels", [100, 101])
def test_dags_are_nested_to_a_bound(write: Write, spec: dict[str, Any], levels: int) -> None:
    spec["components"] |= {
        f"comp-{level}": {
            "dag": {
                "tasks": {
                    "t": {
                        "componentRef": {"name": f"comp-{level + 1}" if level < levels - 3 else "comp-work"}
                    }
                }
            }
        }
        for level in range(levels - 2)
    }
    spec["root"]["dag"]["tasks"]["work"]["componentRef"]["name"] = "comp-0"
    path = write(spec)
    if levels == 100:
        assert read_pipeline(path).sequential_steps > levels
    else:
        with pytest.raises(InputError, match="nested more than 100 levels deep"):
            read_pipeline(path)


def test_nesting_that_explodes_is_refused(write: Write, spec: dict[str, Any]) -> None:
    for level in range(8):
        inner = {"componentRef": {"name": f"comp-{level + 1}" if level < 7 else "comp-work"}}
        spec["components"][f"comp-{level}"] = {
            "dag": {"tasks": {f"t{number}": dict(inner) for number in range(10)}}
        }
    spec["root"]["dag"]["tasks"]["work"]["componentRef"]["name"] = "comp-0"
    with pytest.raises(InputError, match="expands to more than"):
        read_pipeline(write(spec))


def test_nothing_follows_an_exit_task(write: Write, spec: dict[str, Any]) -> None:
    tasks = spec["root"]["dag"]["tasks"]
    tasks["tidy"] = TIDY
    assert read_pipeline(write(spec)).name == "small"
    tasks["after"] = {**TASK, "dependentTasks": ["tidy"]}
    with pytest.raises(InputError, match="task after: depends on the exit task tidy"):
        read_pipeline(write(spec))


def test_an_importer_has_no_condition(write: Write, spec: dict[str, Any]) -> None:
    spec["deploymentSpec"]["executors"]["exec-work"] = {"importer": {}}
    assert read_pipeline(write(spec)).name == "small"
    spec["root"]["dag"]["tasks"]["work"]["triggerPolicy"] = {"condition": "true"}
    with pytest.raises(InputError, match="task work: is an importer with a condition"):
        read_pipeline(write(spec))


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
