"""The operations of the KFP API: name, method, what may be repeated, and how the answer is decoded."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from kfp_perf.client.messages import (
    Experiment,
    ExperimentPage,
    Healthz,
    Message,
    Pipeline,
    PipelinePage,
    PipelineVersion,
    PipelineVersionPage,
    ProtoJsonDecoder,
    RecurringRun,
    RecurringRunPage,
    Run,
    RunPage,
)

Answer = TypeVar("Answer")


class Nothing(Message, frozen=True):
    """The answer `{}` of deletions and verbs."""


class ApiMethod(msgspec.Struct, Generic[Answer], frozen=True):
    """One call of the API.

    `name` is the RPC's name, under which samples are counted. `repeatable`: doing it twice comes to the same as
    doing it once. `done_statuses`: what KFP itself answers a repetition when an earlier attempt, whose answer was
    lost, had done the work already.
    """

    name: str
    method: str
    decoder: ProtoJsonDecoder[Answer]
    repeatable: bool = True
    done_statuses: frozenset[int] = frozenset()


def _get(name: str, answer: type[Answer]) -> ApiMethod[Answer]:
    return ApiMethod(name, "GET", ProtoJsonDecoder(answer))


def _create(name: str, answer: type[Answer]) -> ApiMethod[Answer]:
    return ApiMethod(name, "POST", ProtoJsonDecoder(answer), repeatable=False)


def _verb(name: str, *done_statuses: int) -> ApiMethod[Nothing]:
    return ApiMethod(name, "POST", ProtoJsonDecoder(Nothing), done_statuses=frozenset(done_statuses))


def _delete(name: str) -> ApiMethod[Nothing]:
    return ApiMethod(name, "DELETE", ProtoJsonDecoder(Nothing), done_statuses=frozenset({404}))


GET_HEALTHZ = _get("GetHealthz", Healthz)

CREATE_RUN = _create("CreateRun", Run)
GET_RUN = _get("GetRun", Run)
LIST_RUNS = _get("ListRuns", RunPage)
TERMINATE_RUN = _verb("TerminateRun", 400)  # a run that is CANCELING already is refused
DELETE_RUN = _delete("DeleteRun")

CREATE_EXPERIMENT = _create("CreateExperiment", Experiment)
GET_EXPERIMENT = _get("GetExperiment", Experiment)
LIST_EXPERIMENTS = _get("ListExperiments", ExperimentPage)
DELETE_EXPERIMENT = _delete("DeleteExperiment")

UPLOAD_PIPELINE = _create("UploadPipeline", Pipeline)
UPLOAD_PIPELINE_VERSION = _create("UploadPipelineVersion", PipelineVersion)
GET_PIPELINE = _get("GetPipeline", Pipeline)
LIST_PIPELINES = _get("ListPipelines", PipelinePage)
DELETE_PIPELINE = _delete("DeletePipeline")
GET_PIPELINE_VERSION = _get("GetPipelineVersion", PipelineVersion)
LIST_PIPELINE_VERSIONS = _get("ListPipelineVersions", PipelineVersionPage)
DELETE_PIPELINE_VERSION = _delete("DeletePipelineVersion")

CREATE_RECURRING_RUN = _create("CreateRecurringRun", RecurringRun)
LIST_RECURRING_RUNS = _get("ListRecurringRuns", RecurringRunPage)
DISABLE_RECURRING_RUN = _verb("DisableRecurringRun")
DELETE_RECURRING_RUN = _delete("DeleteRecurringRun")
