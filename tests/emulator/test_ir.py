from __future__ import annotations

from typing import Any

import pytest
import yaml
from small_pipelines import Draft, Simulation, task

from kfp_emulator.pipelines.ir import (
    InvalidParameters,
    InvalidPipeline,
    bind_parameters,
    load_documents,
    parse_pipeline,
)


def minimal() -> dict[str, Any]:
    draft = Draft("minimal")
    (document,) = draft.documents({"a": task(draft.container("work"))})
    return document


def test_a_pipeline_and_its_platform() -> None:
    platform: dict[str, Any] = {"platforms": {"kubernetes": {"deploymentSpec": {}}}}
    pipeline = parse_pipeline([minimal(), platform])
    assert pipeline.name == "minimal"
    assert pipeline.platform == platform
    assert pipeline.sdk_version == "kfp-2.17.0"


def test_both_spellings_of_a_field() -> None:
    document = minimal()
    document["pipeline_info"] = document.pop("pipelineInfo")
    document["root"]["dag"]["tasks"]["a"]["component_ref"] = document["root"]["dag"]["tasks"]["a"].pop(
        "componentRef"
    )
    assert Simulation().run(parse_pipeline([document])).phase == "Succeeded"


@pytest.mark.parametrize(
    ("change", "message", "detail"),
    [
        (lambda d: d.pop("root"), "unknown template format", "pipelineInfo.name and root are required"),
        (
            lambda d: d["pipelineInfo"].pop("name"),
            "unknown template format",
            "pipelineInfo.name and root are required",
        ),
        (lambda d: d.update(rooot=1), "unknown template format", "$.rooot must be no field here"),
        (lambda d: d.update(components=[]), "unknown template format", "$.components must be an object"),
        (
            lambda d: d["root"]["dag"]["tasks"]["a"].update(dependentTasks="b"),
            "unknown template format",
            "$.root.dag.tasks.a.dependentTasks must be a list",
        ),
        (
            lambda d: d["root"]["dag"]["tasks"]["a"].update(cachingOptions={"enableCache": "yes"}),
            "unknown template format",
            "$.root.dag.tasks.a.cachingOptions.enableCache must be a boolean",
        ),
        (
            lambda d: d["root"]["dag"]["tasks"]["a"].update(retryPolicy={"backoffDuration": "soon"}),
            "unknown template format",
            "$.root.dag.tasks.a.retryPolicy.backoffDuration must be a duration",
        ),
        (
            lambda d: d["root"].update(executorLabel="x"),
            "unknown template format",
            "$.root must be given one of dag, executorLabel",
        ),
        (
            lambda d: d["components"]["work"].update(
                inputDefinitions={"parameters": {"x": {"parameterType": "TEXT"}}}
            ),
            "unknown template format",
            "$.components.work.inputDefinitions.parameters.x.parameterType must be one of",
        ),
        (
            lambda d: d.update(schemaVersion="2.0.0"),
            "KFP only supports schema version 2.1.0, but the pipeline spec has version 2.0.0",
            "",
        ),
        (
            lambda d: d["pipelineInfo"].update(name="ÜÄ"),
            "invalid v2 pipeline spec: name should consist of",
            "",
        ),
        (
            lambda d: d["deploymentSpec"].update(executors={"exec-work": 1}),
            "Failed to compile job",
            "$.deploymentSpec.executors must hold objects",
        ),
    ],
)
def test_what_the_server_refuses(change: Any, message: str, detail: str) -> None:
    document = minimal()
    change(document)
    with pytest.raises(InvalidPipeline) as caught:
        parse_pipeline([document])
    assert message in caught.value.message
    assert detail in caught.value.detail


def test_one_pipeline_and_one_platform_at_most() -> None:
    platform: dict[str, Any] = {"platforms": {"kubernetes": {}}}
    with pytest.raises(InvalidPipeline, match="multiple pipeline specs provided"):
        parse_pipeline([minimal(), minimal()])
    with pytest.raises(InvalidPipeline, match="multiple platform specs provided"):
        parse_pipeline([minimal(), platform, platform])
    with pytest.raises(InvalidPipeline, match="unknown template format"):
        parse_pipeline([])


def typed(**types: str) -> Any:
    draft = Draft()
    return draft.pipeline({"a": task(draft.container("work"))}, inputs=types)


def test_parameters_are_bound_with_their_defaults() -> None:
    draft = Draft()
    (document,) = draft.documents(
        {"a": task(draft.container("work"))}, inputs={"x": "STRING", "y": "LIST", "z": "STRUCT"}
    )
    parameters = document["root"]["inputDefinitions"]["parameters"]
    parameters["y"]["defaultValue"] = [1]
    parameters["z"]["isOptional"] = True
    bound = bind_parameters(parse_pipeline([document]), {"x": "given"})
    assert bound == {"x": "given", "y": [1], "z": None}


@pytest.mark.parametrize(
    ("type_", "right", "wrong", "words"),
    [
        ("STRING", "a", 1, "requires type string, but the input parameter is not of string value type"),
        ("NUMBER_INTEGER", 1, "1", "requires type double or integer"),
        ("NUMBER_DOUBLE", 1.5, True, "but the parameter value is not of number value type"),
        ("BOOLEAN", True, 1, "requires type bool, but the input parameter is not of bool value type"),
        ("LIST", [1], {}, "requires type list, but the input parameter is not of list value type"),
        ("STRUCT", {"a": 1}, [], "requires type struct, but the input parameter is not of struct value type"),
    ],
)
def test_the_types_of_parameters(type_: str, right: Any, wrong: Any, words: str) -> None:
    pipeline = typed(x=type_)
    assert bind_parameters(pipeline, {"x": right}) == {"x": right}
    with pytest.raises(InvalidParameters) as caught:
        bind_parameters(pipeline, {"x": wrong})
    assert str(caught.value).startswith("input parameter x ")
    assert words in str(caught.value)
    with pytest.raises(InvalidParameters, match="requires type"):
        bind_parameters(pipeline, {"x": None})


def test_missing_and_unknown_parameters() -> None:
    with pytest.raises(InvalidParameters) as caught:
        bind_parameters(typed(x="STRING"), {})
    assert str(caught.value) == (
        "parameter x is not optional, yet has neither default value nor user provided value"
    )
    with pytest.raises(InvalidParameters) as caught:
        bind_parameters(typed(), {"y": 1, "z": 2})
    assert str(caught.value) == "parameter(s) provided are not required by pipeline: y, z"


def test_literals_are_the_only_values_allowed() -> None:
    draft = Draft()
    (document,) = draft.documents({"a": task(draft.container("work"))}, inputs={"x": "STRING"})
    document["root"]["inputDefinitions"]["parameters"]["x"]["literals"] = ["a", "b"]
    pipeline = parse_pipeline([document])
    assert bind_parameters(pipeline, {"x": "a"}) == {"x": "a"}
    with pytest.raises(InvalidParameters, match="does not match any of the allowed literal values"):
        bind_parameters(pipeline, {"x": "c"})


def test_documents_of_a_stream() -> None:
    assert load_documents(b"a: 1\n---\n---\nb: 2025-01-01\n") == [{"a": 1}, {"b": "2025-01-01T00:00:00Z"}]
    assert load_documents('{"a": [1, null]}') == [{"a": [1, None]}]
    assert load_documents(b"") == load_documents("- a\n--- text\n") == []


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, name in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (BOMB, "excessive aliasing"),
        ("a: &a [*a]", "anchor 'a' value contains itself"),
        ("[" * 100_000, "exceeded max depth"),
        ("{a: " * 100_000, "exceeded max depth"),
        ("- " * 50_000, "exceeded max depth"),
        ("a: [", "failed to parse pipeline spec YAML"),
        ("a: 1\nb: 2\na: 3", 'mapping key "a" already defined at line 1'),
        ("a: {x: 1, 'x': 2}", 'mapping key "x" already defined at line 1'),
        ('{"a": 1, "a": 2}', 'mapping key "a" already defined at line 1'),
        ("a: b: c", "failed to parse pipeline spec YAML"),
        (b"\xff\xfe\x00", "failed to parse pipeline spec YAML"),
        ("? [a]\n: 1", "failed to parse pipeline spec YAML"),
    ],
)
def test_what_is_no_document(content: bytes | str, message: str) -> None:
    with pytest.raises(InvalidPipeline, match=message):
        load_documents(content)


def test_a_written_pipeline_reads_as_itself() -> None:
    document = minimal()
    assert load_documents(yaml.safe_dump(document)) == [document]
