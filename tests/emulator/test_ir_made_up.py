"""Made-up documents and pipelines: each is refused, or runs to an end."""

from __future__ import annotations

from typing import Any

import pytest
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
