"""The KFP API over REST: each call's path, parameters and body. `Caller` makes the calls."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Protocol, Self, TypeVar
from urllib.parse import quote

import msgspec

from kfp_perf.client import methods
from kfp_perf.client.call import Answer, Caller
from kfp_perf.client.protocol import ListQuery, Operator, Predicate, encode_fields
from kfp_perf.result.records import Purpose

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_perf.client.messages import (
        Experiment,
        Healthz,
        Page,
        Pipeline,
        PipelineVersion,
        RecurringRun,
        RecurringRunSpec,
        Run,
        RunSpec,
    )
    from kfp_perf.client.proxy import Proxy
    from kfp_perf.client.transport import ConnectionCounters
    from kfp_perf.config import TestConfig
    from kfp_perf.pacing import Clock, StopSignal
    from kfp_perf.result.records import Sample

    OnSample = Callable[[Sample], None] | None

_API = "/apis/v2beta1"
_EXPERIMENTS = f"{_API}/experiments"
_PIPELINES = f"{_API}/pipelines"
_RUNS = f"{_API}/runs"
_RECURRING_RUNS = f"{_API}/recurringruns"


class _Named(Protocol):
    @property
    def display_name(self) -> str: ...


_Item = TypeVar("_Item", bound=_Named)


def _ignore(sample: Sample) -> None:
    """Record nothing."""


class RestClient:
    """`KfpClient` over HTTP, with connections of its own for each event loop that uses it.

    `record` is given each call as a `Sample`; `correlation` begins the X-Request-Id of each request; `seed`
    makes back-off times repeatable; `stop` ends back-off, except that of `Purpose.CLEANUP`, by raising the last
    error. Raises `InputError` where credentials or certificates cannot be used.
    """

    def __init__(
        self,
        config: TestConfig,
        clock: Clock,
        record: Callable[[Sample], None] = _ignore,
        correlation: str = "kfp-perf",
        *,
        seed: int | None = None,
        stop: StopSignal | None = None,
    ) -> None:
        self._caller = Caller(config, clock, record, correlation, seed, stop)
        self._purpose = Purpose.LOAD

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end."""
        return self._caller.url

    @property
    def retries(self) -> int:
        """How many attempts were repetitions, over all views of this client."""
        return self._caller.retries

    @property
    def backoff_seconds(self) -> float:
        """How long calls waited between their attempts, in all."""
        return self._caller.backoff_seconds

    @property
    def connection_counters(self) -> ConnectionCounters:
        """The client's own cost of calls, over all views of this client."""
        return self._caller.transport.connection_counters

    @property
    def proxy(self) -> Proxy | None:
        """The proxy that requests go through, if there is one."""
        return self._caller.transport.proxy

    def for_purpose(self, purpose: Purpose) -> Self:
        """A light view that shares connections, and whose samples carry this purpose."""
        view = object.__new__(type(self))
        view._caller = self._caller
        view._purpose = purpose
        return view

    def redact(self, text: str) -> str:
        """Return a text of the server without secrets: known values, and what looks like one."""
        return self._caller.redact(text)

    async def aclose(self) -> None:
        """Close the connections that belong to the running event loop."""
        await self._caller.transport.aclose()

    def __repr__(self) -> str:
        return f"RestClient({self.url!r}, purpose={self._purpose.value!r})"

    async def healthz(self, *, due: float | None = None) -> Healthz:
        """Get the health of the API server."""
        return await self._caller.call(methods.GET_HEALTHZ, f"{_API}/healthz", self._purpose, due=due)

    # runs

    async def create_run(self, spec: RunSpec, *, due: float | None = None, on_sample: OnSample = None) -> Run:
        """Start a run. Repeated only where no byte was sent, or on 429; else see `ApiError.outcome_unknown`."""
        body = msgspec.json.encode(spec.body())
        return await self._caller.call(
            methods.CREATE_RUN, _RUNS, self._purpose, due=due, body=body, on_sample=on_sample
        )

    async def get_run(self, run_id: str, *, due: float | None = None) -> Run:
        """Get one run."""
        return await self._caller.call(methods.GET_RUN, f"{_RUNS}/{_part(run_id)}", self._purpose, due=due)

    async def list_runs(self, query: ListQuery, *, due: float | None = None) -> Page[Run]:
        """List a page of runs."""
        return await self._caller.call(
            methods.LIST_RUNS, _RUNS + query.encode(), self._purpose, due=due, variant=query.variant
        )

    async def find_run(self, name: str, *, experiment_id: str = "", namespace: str = "") -> Run | None:
        """Look up a run whose name is unique."""
        page = await self.list_runs(_by_name(name, namespace, experiment_id))
        return _named(name, page.items)

    async def terminate_run(self, run_id: str, *, due: float | None = None) -> None:
        """Terminate a run."""
        await self._verb(methods.TERMINATE_RUN, f"{_RUNS}/{_part(run_id)}:terminate", due)

    async def delete_run(self, run_id: str, *, due: float | None = None) -> None:
        """Delete a run."""
        await self._verb(methods.DELETE_RUN, f"{_RUNS}/{_part(run_id)}", due)

    # experiments

    async def create_experiment(
        self, name: str, *, namespace: str = "", description: str = "", due: float | None = None
    ) -> Experiment:
        """Create an experiment; names are unique in a namespace."""
        fields = {"display_name": name, "namespace": namespace, "description": description}
        body = msgspec.json.encode({key: value for key, value in fields.items() if value})
        return await self._caller.call(
            methods.CREATE_EXPERIMENT, _EXPERIMENTS, self._purpose, due=due, body=body
        )

    async def get_experiment(self, experiment_id: str, *, due: float | None = None) -> Experiment:
        """Get one experiment."""
        path = f"{_EXPERIMENTS}/{_part(experiment_id)}"
        return await self._caller.call(methods.GET_EXPERIMENT, path, self._purpose, due=due)

    async def list_experiments(self, query: ListQuery, *, due: float | None = None) -> Page[Experiment]:
        """List a page of experiments."""
        path = _EXPERIMENTS + query.encode()
        return await self._caller.call(
            methods.LIST_EXPERIMENTS, path, self._purpose, due=due, variant=query.variant
        )

    async def find_experiment(self, name: str, *, namespace: str = "") -> Experiment | None:
        """Look up an experiment by name."""
        page = await self.list_experiments(_by_name(name, namespace))
        return _named(name, page.items)

    async def delete_experiment(self, experiment_id: str, *, due: float | None = None) -> None:
        """Delete an experiment. Its runs stay."""
        await self._verb(methods.DELETE_EXPERIMENT, f"{_EXPERIMENTS}/{_part(experiment_id)}", due)

    # pipelines

    async def upload_pipeline(
        self,
        content: bytes,
        *,
        name: str,
        namespace: str = "",
        description: str = "",
        due: float | None = None,
    ) -> Pipeline:
        """Upload a pipeline (IR YAML); the server makes a first version of the same name."""
        fields = [("name", name), ("namespace", namespace), ("description", description)]
        body, content_type = _multipart(content)
        path = f"{_PIPELINES}/upload{encode_fields(fields)}"
        return await self._caller.call(
            methods.UPLOAD_PIPELINE, path, self._purpose, due=due, body=body, content_type=content_type
        )

    async def upload_pipeline_version(
        self, content: bytes, *, pipeline_id: str, name: str, description: str = "", due: float | None = None
    ) -> PipelineVersion:
        """Upload another version of a pipeline (IR YAML)."""
        fields = [("name", name), ("pipelineid", pipeline_id), ("description", description)]
        body, content_type = _multipart(content)
        path = f"{_PIPELINES}/upload_version{encode_fields(fields)}"
        return await self._caller.call(
            methods.UPLOAD_PIPELINE_VERSION,
            path,
            self._purpose,
            due=due,
            body=body,
            content_type=content_type,
        )

    async def get_pipeline(self, pipeline_id: str, *, due: float | None = None) -> Pipeline:
        """Get one pipeline."""
        path = f"{_PIPELINES}/{_part(pipeline_id)}"
        return await self._caller.call(methods.GET_PIPELINE, path, self._purpose, due=due)

    async def list_pipelines(self, query: ListQuery, *, due: float | None = None) -> Page[Pipeline]:
        """List a page of pipelines."""
        path = _PIPELINES + query.encode()
        return await self._caller.call(
            methods.LIST_PIPELINES, path, self._purpose, due=due, variant=query.variant
        )

    async def find_pipeline(self, name: str, *, namespace: str = "") -> Pipeline | None:
        """Look up a pipeline by name."""
        page = await self.list_pipelines(_by_name(name, namespace))
        return _named(name, page.items)

    async def delete_pipeline(
        self, pipeline_id: str, *, cascade: bool = False, due: float | None = None
    ) -> None:
        """Delete a pipeline; with `cascade` its versions too (servers before 2.14 do not know that)."""
        path = f"{_PIPELINES}/{_part(pipeline_id)}{'?cascade=true' if cascade else ''}"
        await self._verb(methods.DELETE_PIPELINE, path, due)

    async def get_pipeline_version(
        self, pipeline_id: str, version_id: str, *, due: float | None = None
    ) -> PipelineVersion:
        """Get one version."""
        path = f"{_PIPELINES}/{_part(pipeline_id)}/versions/{_part(version_id)}"
        return await self._caller.call(methods.GET_PIPELINE_VERSION, path, self._purpose, due=due)

    async def list_pipeline_versions(
        self, pipeline_id: str, query: ListQuery, *, due: float | None = None
    ) -> Page[PipelineVersion]:
        """List a page of a pipeline's versions."""
        path = f"{_PIPELINES}/{_part(pipeline_id)}/versions{query.encode()}"
        return await self._caller.call(
            methods.LIST_PIPELINE_VERSIONS, path, self._purpose, due=due, variant=query.variant
        )

    async def delete_pipeline_version(
        self, pipeline_id: str, version_id: str, *, due: float | None = None
    ) -> None:
        """Delete one version."""
        path = f"{_PIPELINES}/{_part(pipeline_id)}/versions/{_part(version_id)}"
        await self._verb(methods.DELETE_PIPELINE_VERSION, path, due)

    # recurring runs

    async def create_recurring_run(
        self, spec: RecurringRunSpec, *, due: float | None = None, on_sample: OnSample = None
    ) -> RecurringRun:
        """Create a schedule. Names are not unique."""
        body = msgspec.json.encode(spec.body())
        return await self._caller.call(
            methods.CREATE_RECURRING_RUN,
            _RECURRING_RUNS,
            self._purpose,
            due=due,
            body=body,
            on_sample=on_sample,
        )

    async def list_recurring_runs(self, query: ListQuery, *, due: float | None = None) -> Page[RecurringRun]:
        """List a page of schedules."""
        path = _RECURRING_RUNS + query.encode()
        return await self._caller.call(methods.LIST_RECURRING_RUNS, path, self._purpose, due=due)

    async def disable_recurring_run(self, recurring_run_id: str, *, due: float | None = None) -> None:
        """Stop a schedule from firing. Its active runs go on."""
        path = f"{_RECURRING_RUNS}/{_part(recurring_run_id)}:disable"
        await self._verb(methods.DISABLE_RECURRING_RUN, path, due)

    async def delete_recurring_run(self, recurring_run_id: str, *, due: float | None = None) -> None:
        """Delete a schedule. Its runs stay."""
        path = f"{_RECURRING_RUNS}/{_part(recurring_run_id)}"
        await self._verb(methods.DELETE_RECURRING_RUN, path, due)

    async def _list(
        self, operation: methods.ApiMethod[Answer], path: str, variant: str, due: float | None
    ) -> Answer:
        return await self._caller.call(operation, path, self._purpose, due=due, variant=variant)

    async def _verb(
        self, operation: methods.ApiMethod[methods.Nothing], path: str, due: float | None
    ) -> None:
        await self._caller.call(operation, path, self._purpose, due=due)


def _part(text: str) -> str:
    """Return a path segment, escaped. The server's ids need no escaping, so they take the short way."""
    return text if text.replace("-", "").isalnum() and text.isascii() else quote(text, safe="")


def _by_name(name: str, namespace: str = "", experiment_id: str = "") -> ListQuery:
    return ListQuery(
        namespace="" if experiment_id else namespace,
        experiment_id=experiment_id,
        page_size=2,
        filter=(Predicate("name", Operator.EQUALS, name),),
    )


def _named(name: str, items: list[_Item]) -> _Item | None:
    """Return the item of this name: a server that ignores the filter may return others."""
    return next((item for item in items if name in {item.display_name, getattr(item, "name", None)}), None)


def _multipart(content: bytes) -> tuple[bytes, str]:
    """A multipart/form-data body with the one file that the upload routes take (RFC 7578), and its type."""
    boundary = secrets.token_hex(16)
    head = (
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="uploadfile"; filename="pipeline.yaml"\r\n'
        "Content-Type: application/x-yaml\r\n\r\n"
    )
    body = b"".join((head.encode(), content, f"\r\n--{boundary}--\r\n".encode()))
    return body, f"multipart/form-data; boundary={boundary}"
