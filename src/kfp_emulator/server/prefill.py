"""A history to start with: `runs=100000,pipelines=2000,experiments=200`, ready within seconds.

The rows look as if the server had been in use for thirty days: finished runs of a two-task pipeline, with their
task details. They are written straight into the store; no cluster ever ran them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from kfp_emulator.pipelines.packages import check_package
from kfp_emulator.protocol.call import encode
from kfp_emulator.protocol.wire import rfc3339
from kfp_emulator.server import experiments, pipelines
from kfp_emulator.storage.run_store import CONDITIONS, INSERT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kfp_emulator.server.state import Backend

SPAN_SECONDS = 30 * 24 * 3600
_BATCH = 10_000
_SUCCEEDED_SHARE = 0.93


@dataclass(frozen=True, slots=True)
class Prefill:
    """How many rows of each kind there are at the start."""

    runs: int = 0
    pipelines: int = 0
    experiments: int = 0
    namespace: str = ""
    """Multi-user mode: where they lie."""


LIMITS = {"runs": 5_000_000, "pipelines": 1_000_000, "experiments": 1_000_000}


def parse_prefill(text: str) -> Prefill:
    """Read `runs=100000,pipelines=2000,experiments=200` (any of them; `namespace=NAME` in multi-user mode).

    Raises:
        ValueError: it is something else; the text says what.

    """
    known = {field.name for field in fields(Prefill)}
    values: dict[str, Any] = {}
    for part in filter(None, text.split(",")):
        name, equals, value = part.strip().partition("=")
        if not equals or name not in known:
            raise ValueError(f"{part!r} is none of runs=N, pipelines=N, experiments=N, namespace=NAME")
        if name == "namespace":
            values[name] = value
            continue
        if not (value.isascii() and value.isdigit() and int(value) <= LIMITS[name]):
            raise ValueError(f"{name} must be a number from 0 to {LIMITS[name]}, not {value!r}")
        values[name] = int(value)
    return Prefill(**values)


def prefill(backend: Backend, wanted: Prefill) -> None:
    """Write the history, unless the store has one already."""
    if not (wanted.runs or wanted.pipelines or wanted.experiments) or backend.store.meta("prefilled"):
        return
    backend.store.set_meta("prefilled", "yes")
    rng = random.Random(f"{backend.seed}:prefill")
    namespace = backend.access.namespace(wanted.namespace)
    experiment_ids = [
        experiments.insert(backend, f"history-{index:05d}", "prefilled", namespace)
        for index in range(wanted.experiments)
    ]
    if not experiment_ids and wanted.runs:
        experiment_ids = [
            experiments.insert(backend, "history", "prefilled", namespace)
            if backend.access.multi_user
            else experiments.default_experiment(backend)
        ]
    package = check_package([PIPELINE])
    versions: list[tuple[str, str]] = []
    for index in range(max(wanted.pipelines, 1 if wanted.runs else 0)):
        name = f"history-{index:05d}"
        named = {"name": name, "display_name": name, "description": "prefilled", "namespace": namespace}
        pipeline_id = pipelines.insert(backend, named, {})
        versions.append((pipeline_id, pipelines.insert_version(backend, pipeline_id, named, {}, package)))
    if wanted.runs:
        spec_id = backend.store.keep_spec(package.documents, package.shown)
        rows = _rows(backend, wanted.runs, rng, namespace, experiment_ids, versions, spec_id)
        backend.store.write_many(INSERT, rows)
        newest = backend.seconds() - 1
        for experiment_id in experiment_ids:
            backend.store.write(
                "UPDATE experiments SET last_run_created_at = ? WHERE id = ?", (newest, experiment_id)
            )
    backend.store.commit()


def _rows(
    backend: Backend,
    count: int,
    rng: random.Random,
    namespace: str,
    experiment_ids: list[str],
    versions: list[tuple[str, str]],
    spec_id: str,
) -> Iterator[Sequence[Any]]:
    """Yield the rows of all runs, the oldest first.

    A run's JSON is cut from a template in which only ids, the name and the times are exchanged: that is five
    times as fast as encoding each.
    """
    templates = {state: _template(state) for state in ("SUCCEEDED", "FAILED")}
    end = backend.seconds() - 600
    tenant = namespace
    for index in range(count):
        run_id = backend.new_id()
        experiment_id = experiment_ids[index % len(experiment_ids)]
        pipeline_id, version_id = versions[index % len(versions)]
        created = end - SPAN_SECONDS + (index + 1) * SPAN_SECONDS // count
        finished = created + rng.randrange(20, 300)
        state = "SUCCEEDED" if rng.random() < _SUCCEEDED_SHARE else "FAILED"
        name = f"history-{index:07d}"
        head, tail = templates[state]
        times = (rfc3339(created).encode(), rfc3339(finished).encode())
        body = head % (
            experiment_id.encode(),
            run_id.encode(),
            name.encode(),
            pipeline_id.encode(),
            version_id.encode(),
            times[0],
            times[0],
            times[1],
        ) + tail.replace(b"@run", run_id.encode()).replace(b"@created", times[0]).replace(
            b"@finished", times[1]
        )
        yield (
            run_id,
            tenant,
            namespace,
            experiment_id,
            name,
            "",
            "AVAILABLE",
            state,
            CONDITIONS[state],
            created,
            created,
            finished,
            "",
            state.title(),
            f"history-{index:07d}",
            spec_id,
            "history",
            "{}",
            "pipeline-runner",
            created * 1_000_000,
            body,
            0,
        )


_HEAD = (
    b'{"experiment_id":"%s","run_id":"%s","display_name":"%s","storage_state":"AVAILABLE",'
    b'"pipeline_version_reference":{"pipeline_id":"%s","pipeline_version_id":"%s"},'
    b'"service_account":"pipeline-runner","created_at":"%s","scheduled_at":"%s","finished_at":"%s",'
)
_TASKS = (
    "history-wf",
    "root-driver",
    "root",
    "make-driver",
    "make",
    "executor",
    "take-driver",
    "take",
    "executor",
)


def _template(state: str) -> tuple[bytes, bytes]:
    """Return the two halves of a run's JSON: the first with %s, the second with @run, @created, @finished."""
    tasks = [
        {
            "run_id": "@run",
            "task_id": f"@run-{index}",
            "display_name": name,
            "create_time": "@created",
            "start_time": "@created",
            "end_time": "@finished",
            "state": state
            if name in {"history-wf", "root", "take"} or index == len(_TASKS) - 1
            else "SUCCEEDED",
            "state_history": [{"update_time": "@finished", "state": "SUCCEEDED"}],
            "child_tasks": [{"pod_name": f"@run-{index + 1}"}],
        }
        for index, name in enumerate(_TASKS)
    ]
    tail = {
        "state": state,
        "run_details": {"task_details": tasks},
        "state_history": [
            {"update_time": "@created", "state": "PENDING"},
            {"update_time": "@created", "state": "RUNNING"},
            {"update_time": "@finished", "state": state},
        ],
    }
    return _HEAD, encode(tail)[1:]


PIPELINE: dict[str, Any] = {
    "pipelineInfo": {"name": "history"},
    "schemaVersion": "2.1.0",
    "sdkVersion": "kfp-2.17.0",
    "root": {
        "dag": {
            "tasks": {
                "make": {
                    "taskInfo": {"name": "make"},
                    "componentRef": {"name": "comp-make"},
                    "cachingOptions": {},
                },
                "take": {
                    "taskInfo": {"name": "take"},
                    "componentRef": {"name": "comp-take"},
                    "cachingOptions": {},
                    "dependentTasks": ["make"],
                },
            }
        }
    },
    "components": {"comp-make": {"executorLabel": "exec-make"}, "comp-take": {"executorLabel": "exec-take"}},
    "deploymentSpec": {
        "executors": {
            "exec-make": {"container": {"image": "python:3.11", "command": ["echo", "make"]}},
            "exec-take": {"container": {"image": "python:3.11", "command": ["echo", "take"]}},
        }
    },
}
"""What the prefilled runs ran: two tasks, one after the other."""
