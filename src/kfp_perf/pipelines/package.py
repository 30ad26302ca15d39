"""A compiled pipeline: its specification, its parameters, and the copy that is uploaded."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kfp_perf.errors import InputError, Problem
from kfp_perf.pipelines.documents import dump_yaml, parse_yaml, read_bytes
from kfp_perf.pipelines.foreseen import foreseen_problems
from kfp_perf.pipelines.graph import sequential_steps
from kfp_perf.pipelines.ir_fields import read_spec
from kfp_perf.pipelines.misfits import misfit_of, misfit_of_bytes, misfit_of_name
from kfp_perf.pipelines.parameters import check_parameters, parameters_of
from kfp_perf.pipelines.problems import faults_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from kfp_perf.pipelines.parameters import Parameter


@dataclass(frozen=True, slots=True)
class PipelinePackage:
    """A compiled pipeline.

    `spec` is its PipelineSpec with field names in camelCase, as KFP's API server reads the file; `documents` is the
    file as it was read. Both are shared and must not be changed.
    """

    path: Path
    name: str
    parameters: Mapping[str, Parameter]
    spec: Mapping[str, Any]
    documents: tuple[Mapping[str, Any], ...]
    data: bytes

    @property
    def sequential_steps(self) -> int:
        """How many pods run one after the other on the longest path through the pipeline."""
        return sequential_steps(self.spec)

    def content(self, cache_enabled: bool | None) -> bytes:
        """Return the file to upload, with caching on (True), off (False), or unchanged (None).

        Caching is set in every task, since CreateRun has no field for it where a run refers to a version. The copy
        means otherwise the same to the API server.
        """
        if cache_enabled is None:
            return self.data
        documents = copy.deepcopy(list(self.documents))
        for document in documents:
            for task in _tasks(document):
                key = "caching_options" if "caching_options" in task else "cachingOptions"
                task[key] = _switched(task.get(key), cache_enabled)
        return dump_yaml(documents)

    def check_parameters(self, values: Mapping[str, Any]) -> list[Problem]:
        """Return the problems of values for the pipeline's parameters; `where` is the parameter's name."""
        return check_parameters(self.name, self.parameters, values)

    def foreseen_problems(self, values: Mapping[str, Any]) -> list[Problem]:
        """Return what goes wrong in runs with these values; `where` is a parameter, or `task NAME`."""
        return list(foreseen_problems(self.spec, values))


def _tasks(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the tasks of all DAGs in a document; a document without a pipeline has none."""
    for component in (document.get("root"), *(document.get("components") or {}).values()):
        if component and component.get("dag"):
            yield from (component["dag"].get("tasks") or {}).values()


def _switched(options: Mapping[str, Any] | None, enabled: bool) -> dict[str, Any]:
    """Return the caching options of a task with caching on or off; a cache key is kept."""
    others = {
        key: value for key, value in (options or {}).items() if key not in {"enableCache", "enable_cache"}
    }
    return {"enableCache": True, **others} if enabled else others


def read_pipeline(path: Path) -> PipelinePackage:
    """Return the compiled pipeline in a file. Raises InputError with every problem of it."""
    label = str(path)
    if (misfit := misfit_of_name(path)) is not None:
        raise InputError(misfit)
    data = read_bytes(path)
    if (misfit := misfit_of_bytes(data, label)) is not None:
        raise InputError(misfit)
    documents = [document for document in parse_yaml(data, label) if document is not None]
    if (misfit := misfit_of(documents, label)) is not None:
        raise InputError(misfit)
    spec, problems = read_spec(next(document for document in documents if "platforms" not in document), label)
    problems += faults_of(spec, label, complete=not problems)
    if problems:
        raise InputError(problems)
    return PipelinePackage(
        path=path,
        name=spec["pipelineInfo"]["name"],
        parameters=parameters_of(spec),
        spec=spec,
        documents=tuple(documents),
        data=data,
    )
