"""Every construct of the IR makes the nodes and pods that it makes on a real installation."""

from __future__ import annotations

from typing import Any

import pytest
from small_pipelines import START, Draft, Simulation, find, names, phases, pods, task

from kfp_emulator.clock import SECOND
from kfp_emulator.cluster.outcomes import Outcome
from kfp_emulator.cluster.timing import Profile, constant
from kfp_emulator.pipelines.ir import CompileError, parse_pipeline


def test_add_numbers_has_its_six_nodes(draft: Draft) -> None:
    pipeline = draft.pipeline({"add-numbers": task(draft.container("add"))})
    report = Simulation().run(pipeline)
    assert report.phase == "Succeeded"
    assert [node.display_name for node in report.nodes] == [
        report.workflow_name,
        "root-driver",
        "root",
        "add-numbers-driver",
        "add-numbers",
        "executor",
    ]
    assert pods(report) == 3
    by_id = {node.node_id: node.display_name for node in report.nodes}
    children = {node.display_name: [by_id[child] for child in node.children] for node in report.nodes}
    assert children == {
        report.workflow_name: ["root-driver"],
        "root-driver": ["root"],
        "root": ["add-numbers-driver"],
        "add-numbers-driver": ["add-numbers"],
        "add-numbers": ["executor"],
        "executor": [],
    }


def test_node_ids_are_argos() -> None:
    """`echo -n draft-abcde.root-driver` hashed by FNV-1a, 32 bit, as util.NodeID of Argo does."""
    draft = Draft()
    simulation = Simulation()
    request = simulation.submit(draft.pipeline({"a": task(draft.container("a"))}))
    simulation.cluster.submit(request, name="draft-abcde")
    report = simulation.finish()
    hashed = 2166136261
    for byte in b"draft-abcde.root-driver":
        hashed = (hashed ^ byte) * 16777619 % 2**32
    assert report.nodes[0].node_id == "draft-abcde"
    assert find(report, "root-driver").node_id == f"draft-abcde-{hashed}"
    assert find(report, "root-driver").pod_name == f"draft-abcde-system-dag-driver-{hashed}"


def test_implicit_dependencies_order_tasks(draft: Draft) -> None:
    draft.container("make", outputs={"out": "STRING"})
    draft.container("use", inputs={"text": "STRING"})
    pipeline = draft.pipeline({"a-use": task("use", gets={"text": ("make", "out")}), "make": task("make")})
    report = Simulation(Profile(executor_seconds=constant(5))).run(pipeline)
    assert find(report, "a-use-driver").started_at == find(report, "make").finished_at
    assert find(report, "make").finished_at == START + 5 * SECOND


def test_nested_pipelines_to_great_depth(draft: Draft) -> None:
    component = draft.container("leaf")
    for level in range(40):
        component = draft.dag(f"level-{level}", {f"t{level}": task(component)})
    report = Simulation().run(draft.pipeline({"top": task(component)}))
    assert report.phase == "Succeeded"
    assert len(report.nodes) == 3 + 2 * 41 + 1
    assert pods(report) == 1 + 41 + 1


def test_a_false_condition_skips_the_task_and_omits_what_waits_for_it(draft: Draft) -> None:
    draft.container("work")
    draft.dag("group", {"inner": task("work")}, inputs={"flag": "STRING"})
    tasks = {
        "condition-1": task("group", gets={"flag": "no"}, when="inputs.parameter_values['flag'] == 'yes'"),
        "after": task("work", after=["condition-1"]),
    }
    report = Simulation().run(draft.pipeline(tasks))
    assert report.phase == "Succeeded"
    assert phases(report) == {
        report.workflow_name: "Succeeded",
        "root-driver": "Succeeded",
        "root": "Succeeded",
        "condition-1-driver": "Succeeded",
        "condition-1": "Skipped",
        "after-driver": "Omitted",
        "after": "Omitted",
    }
    assert pods(report) == 2


@pytest.mark.parametrize(("side", "taken"), [("heads", "condition-2"), ("tails", "condition-3")])
def test_if_else_with_oneof(draft: Draft, side: str, taken: str) -> None:
    draft.container("say", inputs={"text": "STRING"}, outputs={"out": "STRING"})
    draft.container("read", inputs={"text": "STRING"})
    for number, word in ((2, "heads"), (3, "tails")):
        draft.dag(
            f"branch-{number}",
            {"say": task("say", gets={"text": word})},
            {"side": "STRING"},
            {"out": ("say", "out")},
        )
    heads = "inputs.parameter_values['side'] == 'heads'"
    draft.dag(
        "branches",
        {
            "condition-2": task("branch-2", gets={"side": ("parent", "side")}, when=heads),
            "condition-3": task("branch-3", gets={"side": ("parent", "side")}, when=f"!({heads})"),
        },
        inputs={"side": "STRING"},
        oneof={"chosen": [("condition-2", "out"), ("condition-3", "out")]},
    )
    tasks = {
        "condition-branches-1": task("branches", gets={"side": side}),
        "read": task("read", gets={"text": ("condition-branches-1", "chosen")}),
    }
    report = Simulation().run(draft.pipeline(tasks))
    assert report.phase == "Succeeded"
    found = phases(report)
    assert [found[name] for name in ("condition-2", "condition-3")] == [
        "Succeeded" if name == taken else "Skipped" for name in ("condition-2", "condition-3")
    ]
    assert found["read"] == "Succeeded"
    # root, branches and both their drivers, the body of one, and read
    assert pods(report) == 1 + 1 + 2 + 2 + 2


def test_a_volume_is_made_by_its_driver(draft: Draft) -> None:
    draft.container("createpvc", outputs={"name": "STRING"}, image="argostub/createpvc")
    draft.container("use", inputs={"claim": "STRING"})
    tasks = {"createpvc": task("createpvc"), "use": task("use", gets={"claim": ("createpvc", "name")})}
    report = Simulation().run(draft.pipeline(tasks))
    assert report.phase == "Succeeded"
    assert names(report)["createpvc"] == 1
    assert names(report)["createpvc-driver"] == 0


def test_optional_inputs_may_be_absent_and_required_ones_may_not(draft: Draft) -> None:
    draft.container("free", inputs={"text": "STRING"}, optional=True)
    draft.container("strict", inputs={"text": "STRING"})
    report = Simulation().run(draft.pipeline({"free": task("free"), "strict": task("strict")}))
    assert phases(report)["free"] == "Succeeded"
    assert phases(report)["strict-driver"] == "Failed"
    assert phases(report)["strict"] == "Omitted"
    assert report.phase == "Failed"


def test_a_value_of_the_wrong_type_fails_in_the_driver(draft: Draft) -> None:
    draft.container("count", inputs={"number": "NUMBER_INTEGER"})
    report = Simulation().run(draft.pipeline({"count": task("count", gets={"number": "three"})}))
    assert report.phase == "Failed"
    assert 'input parameter "number" type mismatch: expect NUMBER_INTEGER, got string' in report.message


def test_anything_can_be_a_string(draft: Draft) -> None:
    draft.container("say", inputs={"text": "STRING"})
    pipeline = draft.pipeline({"say": task("say", gets={"text": ["a", 1]})})
    assert Simulation().run(pipeline).phase == "Succeeded"


def test_a_condition_that_cannot_be_evaluated_fails_in_the_driver(draft: Draft) -> None:
    draft.container("work", inputs={"text": "STRING"})
    when = "int(inputs.parameter_values['text']) > 5"
    report = Simulation().run(draft.pipeline({"work": task("work", gets={"text": "many"}, when=when)}))
    assert phases(report)["work-driver"] == "Failed"
    assert report.phase == "Failed"


def test_an_exit_task_of_an_exit_task_never_runs(draft: Draft) -> None:
    """Only other tasks get hooks (DAG of argocompiler/dag.go)."""
    draft.container("work")
    tasks = {
        "work": task("work"),
        "tidy": task("work", after=["work"], exit_=True),
        "tell": task("work", after=["tidy"], exit_=True),
    }
    report = Simulation().run(draft.pipeline(tasks))
    assert report.phase == "Succeeded"
    assert "tidy" in names(report)
    assert "tell" not in names(report)


def test_a_workflow_that_outgrows_the_controller_ends_in_an_error(draft: Draft) -> None:
    component = draft.container("leaf")
    for level in range(6):
        component = draft.dag(f"level-{level}", {f"t{number}": task(component) for number in range(10)})
    report = Simulation().run(draft.pipeline({"top": task(component)}))
    assert report.phase == "Error"
    assert "nodes" in report.message
    assert not any(node.phase in {"Running", "Pending"} for node in report.nodes)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda tasks: tasks.update(a=task("missing")), 'cannot find component ref name="missing"'),
        (lambda tasks: tasks.update(a={"taskInfo": {"name": "a"}}), "component ref name is empty"),
        (
            lambda tasks: tasks.update(a=task("work", after=["b"]), b=task("work", after=["a"])),
            "templates.root sorting failed: graph with cycle",
        ),
        (lambda tasks: tasks.update(a=task("work", after=["a"])), "sorting failed: graph with cycle"),
        (
            lambda tasks: tasks.update(
                a=task("work"), b=task("work", after=["a"], exit_=True), c=task("work", after=["b"])
            ),
            "templates.root sorting failed: invalid dependency b",
        ),
        (
            lambda tasks: tasks.update({"2nd": task("work")}),
            "tasks.2nd-driver name cannot begin with a digit when using either 'depends' or 'dependencies'",
        ),
        (
            lambda tasks: tasks.update({"snake_case": task("work")}),
            "tasks[0].name: 'snake_case-driver' is invalid: name must consist of alpha-numeric characters",
        ),
        (
            lambda tasks: tasks.update({"n" * 122: task("work")}),
            "is invalid: must be no more than 128 characters",
        ),
        (
            lambda tasks: tasks.update({"n" * 120: task("inner", loop={"item": "[1]"})}),
            f"'inner-{'n' * 120}-iterator' is invalid: must be no more than 128 characters",
        ),
        (
            lambda tasks: tasks.update(a=task("work", after=["ghost"])),
            "templates.entrypoint.tasks.root templates.root sorting failed: invalid dependency ghost",
        ),
        (
            lambda tasks: tasks.update(a=task("work", gets={"x": ("ghost", "out")})),
            'unknown producer task "ghost"',
        ),
        (lambda tasks: tasks.update(a=task("work", exit_=True)), "must contain one or more non-exit tasks"),
        (lambda tasks: tasks.update(a=task("itself")), "the component holds itself"),
        (lambda tasks: tasks.update(a=task("no-executor")), "not found in deployment config"),
        (
            lambda tasks: tasks.update(a=task("resolver")),
            "non-container and non-importer executor not implemented",
        ),
        (lambda tasks: tasks.update(a=task("nothing")), "unknown component implementation"),
        (lambda tasks: tasks.update(a=task("get", when="true")), "triggerPolicy.condition on importer"),
        (
            lambda tasks: tasks.update(a={**task("work"), "artifactIterator": {"itemInput": "x"}}),
            'compiling DAG "root": artifact iterator not implemented yet',
        ),
    ],
)
def test_what_cannot_be_compiled(draft: Draft, break_it: Any, message: str) -> None:
    draft.container("work", inputs={"x": "STRING"}, optional=True)
    draft.importer("get")
    draft.dag("itself", {"again": task("itself")})
    draft.dag("inner", {"w": task("work")}, inputs={"item": "NUMBER_INTEGER"})
    draft.components["no-executor"] = {"executorLabel": "ghost"}
    draft.components["nothing"] = {}
    draft.components["resolver"] = {"executorLabel": "exec-resolver"}
    draft.executors["exec-resolver"] = {"resolver": {}}
    tasks: dict[str, Any] = {}
    break_it(tasks)
    with pytest.raises(CompileError) as caught:
        Simulation().submit(draft.pipeline(tasks))
    assert message in str(caught.value)


def test_nesting_beyond_argos_limit_is_refused(draft: Draft) -> None:
    component = draft.container("leaf")
    for level in range(3000):
        component = draft.dag(f"level-{level}", {"t": task(component)})
    with pytest.raises(CompileError, match="Maximum recursion depth"):
        Simulation().submit(draft.pipeline({"top": task(component)}))


def test_doubled_retry_nodes(draft: Draft) -> None:
    pipeline = draft.pipeline({"add": task(draft.container("add"))})
    report = Simulation(doubled_retry_nodes=True).run(pipeline)
    assert report.phase == "Succeeded"
    workflow = report.workflow_name
    plain = {workflow, "root-driver", "root", "add-driver", "add", "executor"}
    assert {node.display_name for node in report.nodes} == plain | {f"{name}(0)" for name in plain}
    assert len({node.node_id for node in report.nodes}) == 12
    assert pods(report) == 3
    assert {node.phase for node in report.nodes} == {"Succeeded"}


def test_doubled_retry_nodes_try_errors_again_but_not_failures(draft: Draft) -> None:
    pipeline = draft.pipeline({"add": task(draft.container("add"))})
    simulation = Simulation(doubled_retry_nodes=True)
    simulation.cluster.set_outcome(Outcome(task="add", failures=2, error=True))
    report = simulation.run(pipeline)
    assert report.phase == "Succeeded"
    assert [phases(report)[f"executor({number})"] for number in range(3)] == ["Error", "Error", "Succeeded"]
    simulation.cluster.set_outcome(Outcome(task="add", failures=-1))
    failed = simulation.run(pipeline, "other")
    assert failed.phase == "Failed"
    assert names(failed)["executor(1)"] == 0


def test_a_wide_pipeline_is_compiled_and_run_without_delay(draft: Draft) -> None:
    draft.container("work")
    tasks = {"first": task("work")}
    tasks.update({f"t{number}": task("work", after=["first"]) for number in range(3_000)})
    tasks["last"] = task("work", after=[f"t{number}" for number in range(3_000)])
    report = Simulation().run(draft.pipeline(tasks))
    assert report.phase == "Succeeded"
    assert len(report.nodes) == 3 + 3 * 3_002


def test_null_from_above_is_left_out_where_optional_and_fails_where_not(draft: Draft) -> None:
    draft.container("free", inputs={"text": "STRING"}, optional=True)
    draft.container("strict", inputs={"text": "STRING"})
    documents = draft.documents(
        {
            "free": task("free", gets={"text": ("parent", "given")}),
            "strict": task("strict", gets={"text": ("parent", "given")}),
        },
        {"given": "STRING"},
    )
    documents[0]["root"]["inputDefinitions"]["parameters"]["given"]["isOptional"] = True
    report = Simulation().run(parse_pipeline(documents))
    assert phases(report)["free"] == "Succeeded"
    assert phases(report)["strict-driver"] == "Failed"
    assert "the resolved input parameter is null: given" in report.message
    assert Simulation().run(parse_pipeline(documents), given="text").phase == "Succeeded"
