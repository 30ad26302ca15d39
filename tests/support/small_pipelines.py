"""Small pipelines written in a few lines, and a cluster in simulated time that runs them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from kfp_emulator.clock import SECOND, ManualClock
from kfp_emulator.cluster.cluster import Cluster
from kfp_emulator.cluster.requests import RunRequest, TruthEvent
from kfp_emulator.cluster.timing import Profile
from kfp_emulator.pipelines.ir import Pipeline, bind_parameters, parse_pipeline

if TYPE_CHECKING:
    from kfp_emulator.cluster.nodes import Node, Report

START = 1_790_000_000 * SECOND

CONTAINER = "container"
IMPORTER = "importer"


class Draft:
    """A pipeline in the making: containers, DAGs, and the documents that the API server gets."""

    def __init__(self, name: str = "draft") -> None:
        self.name = name
        self.components: dict[str, Any] = {}
        self.executors: dict[str, Any] = {}

    def container(
        self,
        name: str,
        inputs: dict[str, str] | None = None,
        outputs: dict[str, str] | None = None,
        *,
        optional: bool = False,
        image: str = "python:3.11",
    ) -> str:
        """Add a container component; inputs and outputs are names and types."""
        self.executors[f"exec-{name}"] = {"container": {"image": image, "command": ["run", name]}}
        self.components[name] = {
            "executorLabel": f"exec-{name}",
            **definitions(inputs, outputs, optional=optional),
        }
        return name

    def importer(self, name: str) -> str:
        """Add an importer component."""
        self.executors[f"exec-{name}"] = {"importer": {"artifactUri": {"constant": "gs://there"}}}
        self.components[name] = {"executorLabel": f"exec-{name}"}
        return name

    def dag(
        self,
        name: str,
        tasks: dict[str, Any],
        inputs: dict[str, str] | None = None,
        outputs: dict[str, tuple[str, str]] | None = None,
        oneof: dict[str, list[tuple[str, str]]] | None = None,
    ) -> str:
        """Add a component that is a DAG; outputs name (task, key), or several of which one exists."""
        dag: dict[str, Any] = {"tasks": tasks}
        parameters: dict[str, Any] = {
            key: {"valueFromParameter": selector(*source)} for key, source in (outputs or {}).items()
        }
        for key, sources in (oneof or {}).items():
            parameters[key] = {
                "valueFromOneof": {"parameterSelectors": [selector(*each) for each in sources]}
            }
        if parameters:
            dag["outputs"] = {"parameters": parameters}
        types = dict.fromkeys(parameters, "STRING")
        self.components[name] = {"dag": dag, **definitions(inputs, types)}
        return name

    def documents(self, tasks: dict[str, Any], inputs: dict[str, str] | None = None) -> list[dict[str, Any]]:
        """Return the package with these tasks in its root."""
        return [
            {
                "pipelineInfo": {"name": self.name},
                "schemaVersion": "2.1.0",
                "sdkVersion": "kfp-2.17.0",
                "root": {"dag": {"tasks": tasks}, **definitions(inputs, None)},
                "components": self.components,
                "deploymentSpec": {"executors": self.executors},
            }
        ]

    def pipeline(self, tasks: dict[str, Any], inputs: dict[str, str] | None = None) -> Pipeline:
        """Return the parsed pipeline with these tasks in its root."""
        return parse_pipeline(self.documents(tasks, inputs))


def selector(task: str, key: str) -> dict[str, str]:
    return {"producerSubtask": task, "outputParameterKey": key}


def definitions(
    inputs: dict[str, str] | None, outputs: dict[str, str] | None, *, optional: bool = False
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if inputs:
        extra = {"isOptional": True} if optional else {}
        found["inputDefinitions"] = {
            "parameters": {key: {"parameterType": each, **extra} for key, each in inputs.items()}
        }
    if outputs:
        found["outputDefinitions"] = {
            "parameters": {key: {"parameterType": each} for key, each in outputs.items()}
        }
    return found


def task(component: str, **given: Any) -> dict[str, Any]:
    """Describe a task.

    `after` are names; `gets` maps an input to a constant, to ("parent", input) or to (task, key); `when` is a
    condition; `loop` maps the item's input to raw items or to ("input", name); `exit_` makes an exit task.
    """
    described: dict[str, Any] = {"componentRef": {"name": component}, "taskInfo": {"name": component}}
    if "after" in given:
        described["dependentTasks"] = given["after"]
    if "gets" in given:
        described["inputs"] = {"parameters": {key: _source(each) for key, each in given["gets"].items()}}
    policy: dict[str, Any] = {}
    if "when" in given:
        policy["condition"] = given["when"]
    if given.get("exit_"):
        policy["strategy"] = "ALL_UPSTREAM_TASKS_COMPLETED"
    if policy:
        described["triggerPolicy"] = policy
    if "loop" in given:
        ((item, items),) = given["loop"].items()
        kind = {"raw": items} if isinstance(items, str) else {"inputParameter": items[1]}
        described["parameterIterator"] = {"itemInput": item, "items": kind}
    if "parallelism" in given:
        described["iteratorPolicy"] = {"parallelismLimit": given["parallelism"]}
    if "retry" in given:
        described["retryPolicy"] = given["retry"]
    if "cache" in given:
        described["cachingOptions"] = given["cache"]
    return described


def _source(value: Any) -> dict[str, Any]:
    if isinstance(value, tuple) and value[0] == "parent":
        return {"componentInputParameter": value[1]}
    if isinstance(value, tuple) and value[0] == "status":
        return {"taskFinalStatus": {"producerTask": value[1]}}
    if isinstance(value, tuple):
        return {"taskOutputParameter": {"producerTask": value[0], "outputParameterKey": value[1]}}
    return {"runtimeValue": {"constant": value}}


class Simulation:
    """A cluster on a clock that stands still until it is advanced, with all that it reported."""

    def __init__(self, profile: Profile | None = None, *, seed: int = 0, **options: Any) -> None:
        self.clock = ManualClock(START)
        self.reports: list[Report] = []
        self.truth: list[TruthEvent] = []
        self.cluster = Cluster(
            profile or Profile(),
            self.clock,
            self.reports.append,
            seed=seed,
            truth=self.truth.append,
            **options,
        )

    def submit(self, pipeline: Pipeline, run_id: str = "run", **parameters: Any) -> RunRequest:
        """Create a run; return what was asked of the cluster."""
        request = RunRequest(
            run_id, run_id, pipeline, bind_parameters(pipeline, parameters), created_at=self.clock.now()
        )
        self.cluster.submit(request)
        return request

    def run(self, pipeline: Pipeline, run_id: str = "run", **parameters: Any) -> Report:
        """Run a pipeline to its end; return the last report."""
        self.submit(pipeline, run_id, **parameters)
        return self.finish(run_id)

    def finish(self, run_id: str = "run") -> Report:
        """Let everything come to its end; return the last report of a run."""
        self.clock.run_until_idle(200_000)
        return self.last(run_id)

    def last(self, run_id: str = "run") -> Report:
        """Return the last report of a run."""
        return next(report for report in reversed(self.reports) if report.run_id == run_id)


def names(report: Report) -> Counter[str]:
    """Count the nodes of a report by name, without the workflow's own."""
    return Counter(node.display_name for node in report.nodes[1:])


def phases(report: Report) -> dict[str, str]:
    """Map names to phases, where names are unique."""
    return {node.display_name: node.phase for node in report.nodes}


def find(report: Report, name: str) -> Node:
    """Return the only node of a name."""
    (found,) = [node for node in report.nodes if node.display_name == name]
    return found


def pods(report: Report) -> int:
    """Count the nodes that were pods."""
    return sum(1 for node in report.nodes if node.pod_name)
