from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_pipelines import Draft, Simulation, task

from kfp_emulator.clock import SECOND
from kfp_emulator.cluster.cel import Cel
from kfp_emulator.cluster.outcomes import Outcome
from kfp_emulator.cluster.timing import Profile, constant
from kfp_emulator.pipelines.ir import (
    InvalidParameters,
    InvalidPipeline,
    bind_parameters,
    load_documents,
    parse_pipeline,
)


@pytest.fixture(autouse=True, scope="module")
def _cel_loaded() -> None:
    """Load cel-python, which raises the recursion limit, before hypothesis looks at it."""
    Cel().condition("true", {})


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


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_bytes_are_documents_or_invalid(content: bytes | str) -> None:
    try:
        documents = load_documents(content)
    except InvalidPipeline:
        return
    assert all(isinstance(document, dict) for document in documents)


NAMES = st.sampled_from(["root", "a", "b", "c", "for-loop-1", ""])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
    ),
    max_leaves=5,
)
SOURCES = st.one_of(
    st.fixed_dictionaries({"componentInputParameter": NAMES}),
    st.fixed_dictionaries({"runtimeValue": st.fixed_dictionaries({"constant": VALUES})}),
    st.fixed_dictionaries(
        {"taskOutputParameter": st.fixed_dictionaries({"producerTask": NAMES, "outputParameterKey": NAMES})}
    ),
    st.fixed_dictionaries({"taskFinalStatus": st.fixed_dictionaries({"producerTask": NAMES})}),
    VALUES,
)
TASKS = st.fixed_dictionaries(
    {"componentRef": st.fixed_dictionaries({"name": NAMES})},
    optional={
        "dependentTasks": st.lists(NAMES, max_size=2),
        "inputs": st.fixed_dictionaries({"parameters": st.dictionaries(NAMES, SOURCES, max_size=2)}),
        "triggerPolicy": st.fixed_dictionaries(
            {},
            optional={
                "condition": st.sampled_from(
                    ["true", "false", "1", "((", "inputs.parameter_values['a'] == 1"]
                ),
                "strategy": st.sampled_from(
                    ["ALL_UPSTREAM_TASKS_COMPLETED", "TRIGGER_STRATEGY_UNSPECIFIED", 2, "X"]
                ),
            },
        ),
        "parameterIterator": st.fixed_dictionaries(
            {
                "itemInput": NAMES,
                "items": st.one_of(
                    st.fixed_dictionaries({"raw": st.sampled_from(["[]", "[1, 2]", "{", '"x"', "[[[]]]"])}),
                    st.fixed_dictionaries({"inputParameter": NAMES}),
                    VALUES,
                ),
            }
        ),
        "iteratorPolicy": st.fixed_dictionaries({"parallelismLimit": st.integers(-1, 3)}),
        "retryPolicy": st.fixed_dictionaries(
            {},
            optional={
                "maxRetryCount": st.integers(-1, 3),
                "backoffDuration": st.sampled_from(["0s", "3s", "x"]),
            },
        ),
        "cachingOptions": st.fixed_dictionaries(
            {}, optional={"enableCache": st.booleans(), "cacheKey": NAMES}
        ),
    },
)
PARAMETERS = st.fixed_dictionaries(
    {
        "parameters": st.dictionaries(
            NAMES,
            st.fixed_dictionaries(
                {
                    "parameterType": st.sampled_from(
                        ["STRING", "LIST", "BOOLEAN", "NUMBER_INTEGER", "STRUCT", 5, "X"]
                    )
                },
                optional={"isOptional": st.booleans(), "defaultValue": VALUES},
            ),
            max_size=2,
        )
    }
)
DAGS = st.fixed_dictionaries(
    {"tasks": st.dictionaries(NAMES, TASKS, max_size=3)},
    optional={
        "outputs": st.fixed_dictionaries(
            {
                "parameters": st.dictionaries(
                    NAMES,
                    st.fixed_dictionaries(
                        {
                            "valueFromParameter": st.fixed_dictionaries(
                                {"producerSubtask": NAMES, "outputParameterKey": NAMES}
                            )
                        }
                    ),
                    max_size=2,
                )
            }
        )
    },
)
COMPONENTS = st.one_of(
    st.fixed_dictionaries(
        {"executorLabel": st.sampled_from(["run", "import", "volume", "odd", "missing"])},
        optional={"inputDefinitions": PARAMETERS, "outputDefinitions": PARAMETERS},
    ),
    st.fixed_dictionaries(
        {"dag": DAGS}, optional={"inputDefinitions": PARAMETERS, "outputDefinitions": PARAMETERS}
    ),
    VALUES,
)
PIPELINES = st.fixed_dictionaries(
    {
        "pipelineInfo": st.fixed_dictionaries({"name": st.sampled_from(["pipeline", "p", "p2", "_"])}),
        "schemaVersion": st.just("2.1.0"),
        "root": st.fixed_dictionaries({"dag": DAGS}, optional={"inputDefinitions": PARAMETERS}),
        "components": st.dictionaries(NAMES, COMPONENTS, max_size=4),
        "deploymentSpec": st.just(
            {
                "executors": {
                    "run": {"container": {"image": "i", "command": ["c"]}},
                    "volume": {"container": {"image": "argostub/createpvc"}},
                    "import": {"importer": {}},
                    "odd": {"container": {"command": "text"}},
                }
            }
        ),
    }
)


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
@given(PIPELINES)
def test_any_pipeline_is_refused_or_runs_to_an_end(document: dict[str, Any]) -> None:
    simulation = Simulation()
    try:
        pipeline = parse_pipeline([document])
        parameters = bind_parameters(pipeline, {})
        simulation.submit(pipeline, **parameters)
    except (InvalidPipeline, InvalidParameters) as error:
        assert str(error)  # noqa: PT017  either outcome is right, and each is checked
        return
    report = simulation.finish()
    assert report.phase in {"Succeeded", "Failed", "Error"}
    assert not any(node.phase in {"Running", "Pending"} for node in report.nodes)
    assert simulation.cluster.in_flight() == 0


TASK_NAMES = ("t1", "t2", "t3")
CONDITIONS = (
    "true",
    "1 == 2",
    "inputs.parameter_values['x'] == 'alpha'",
    "int(inputs.parameter_values['x']) > 1",
    "((",
)
ITEMS = ("[]", "[1]", '["a", "b", "c"]', '[{"a": 1}]', "no list", ("input", "x"))
GETS = (
    "text",
    3,
    ["a", "b"],
    {"a": 1},
    None,
    ("parent", "x"),
    ("t1", "out"),
    ("t2", "out"),
    ("status", "t1"),
)


@st.composite
def plausible_tasks(draw: st.DrawFn, components: list[str]) -> dict[str, Any]:
    """Tasks that mostly make sense: of components that exist, waiting mostly for those before them."""
    tasks: dict[str, Any] = {}
    for index in range(draw(st.integers(1, 3))):
        before = list(TASK_NAMES[:index]) or ["t1"]
        given: dict[str, Any] = {}
        if index and draw(st.booleans()):
            given["after"] = draw(st.lists(st.sampled_from(before), min_size=1, max_size=2, unique=True))
        if draw(st.booleans()):
            given["gets"] = {"x": draw(st.sampled_from(GETS))}
        if draw(st.integers(0, 3)) == 0:
            given["when"] = draw(st.sampled_from(CONDITIONS))
        if draw(st.integers(0, 3)) == 0:
            given["loop"] = {draw(st.sampled_from(["x", "item"])): draw(st.sampled_from(ITEMS))}
            given["parallelism"] = draw(st.integers(0, 2))
        if draw(st.integers(0, 3)) == 0:
            given["retry"] = {"maxRetryCount": draw(st.integers(0, 2)), "backoffDuration": "3s"}
        if draw(st.integers(0, 3)) == 0:
            given["cache"] = {"enableCache": True}
        if index and draw(st.integers(0, 4)) == 0:
            given["exit_"] = True
        tasks[TASK_NAMES[index]] = task(draw(st.sampled_from(components)), **given)
    return tasks


@st.composite
def plausible_pipelines(draw: st.DrawFn) -> dict[str, Any]:
    """Pipelines of up to three nested DAGs over containers, an importer and a volume."""
    draft = Draft("plausible")
    types = st.sampled_from(["STRING", "STRING", "LIST", "NUMBER_INTEGER", "BOOLEAN", "STRUCT"])
    known = [
        draft.container("one", {"x": draw(types)}, {"out": draw(types)}, optional=draw(st.booleans())),
        draft.container("two", outputs={"out": "LIST"}),
    ]
    if draw(st.booleans()):
        known += [draft.importer("get"), draft.container("pvc", image="argostub/createpvc")]
    for level in range(draw(st.integers(0, 3))):
        names = known + ([f"dag-{level}"] if draw(st.integers(0, 9)) == 0 else [])
        source = (draw(st.sampled_from(TASK_NAMES)), "out")
        known.append(
            draft.dag(f"dag-{level}", draw(plausible_tasks(names)), {"x": draw(types)}, {"out": source})
        )
    (document,) = draft.documents(draw(plausible_tasks(known)))
    return document


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plausible_pipelines(), st.booleans(), st.integers(0, 3), st.none() | st.integers(0, 60))
def test_a_plausible_pipeline_ends_whatever_happens(
    document: dict[str, Any], doubled: bool, failures: int, terminated_after: int | None
) -> None:
    simulation = Simulation(
        Profile(controller_requeue_seconds=constant(1), executor_seconds=constant(2)),
        doubled_retry_nodes=doubled,
    )
    simulation.cluster.set_outcome(Outcome(failures=failures, error=doubled, share=0.3))
    try:
        simulation.submit(parse_pipeline([document]))
    except InvalidPipeline as error:
        assert str(error)  # noqa: PT017  either outcome is right, and each is checked
        return
    if terminated_after is not None:
        simulation.clock.advance(terminated_after * SECOND)
        simulation.cluster.terminate("run")
    report = simulation.finish()
    assert report.phase in {"Succeeded", "Failed", "Error"}
    assert not any(node.phase in {"Running", "Pending"} for node in report.nodes)
    assert len({node.node_id for node in report.nodes}) == len(report.nodes)
    known = {node.node_id for node in report.nodes}
    below = [child for node in report.nodes for child in node.children]
    assert set(below) == known - {report.workflow_name}
    if report.phase == "Failed":
        simulation.cluster.clear_outcomes()
        simulation.cluster.retry("run")
        again = simulation.finish()
        assert again.phase in {"Succeeded", "Failed", "Error"}
        kept = {node.node_id for node in report.nodes if node.phase == "Succeeded" and node.pod_name}
        assert kept <= {node.node_id for node in again.nodes}


def test_a_written_pipeline_reads_as_itself() -> None:
    document = minimal()
    assert load_documents(yaml.safe_dump(document)) == [document]
