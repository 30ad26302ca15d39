"""The protocol of a client of the KFP API: the calls that kfp-perf makes, and no others.

Every call raises an `ApiError` when it fails. `due` is when the request should leave, in seconds since the Unix
epoch (None: now); every call becomes a `Sample`, which `on_sample` is given as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

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
    from kfp_perf.client.query import ListQuery
    from kfp_perf.result.records import Purpose, Sample


class KfpClient(Protocol):
    """The KFP API, version v2beta1."""

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end."""
        ...

    @property
    def retries(self) -> int:
        """How many attempts were repetitions, over all views of this client."""
        ...

    @property
    def backoff_seconds(self) -> float:
        """How long calls waited between their attempts, in all."""
        ...

    @property
    def proxy(self) -> Proxy | None:
        """The proxy that requests go through, if there is one."""
        ...

    def for_purpose(self, purpose: Purpose) -> Self:
        """A light view that shares connections, and whose samples carry this purpose."""
        ...

    def redact(self, text: str) -> str:
        """A text of the server without our secrets, and without what looks like one."""
        ...

    async def aclose(self) -> None:
        """Close the connections that belong to the running event loop."""
        ...

    async def healthz(self, *, due: float | None = None) -> Healthz:
        """Ask whether the API server is there."""
        ...

    # runs

    async def create_run(
        self, spec: RunSpec, *, due: float | None = None, on_sample: Callable[[Sample], None] | None = None
    ) -> Run:
        """Start a run. Repeated only where no byte was sent, or on 429; else see `ApiError.outcome_unknown`."""
        ...

    async def get_run(self, run_id: str, *, due: float | None = None) -> Run:
        """Get one run."""
        ...

    async def list_runs(self, query: ListQuery, *, due: float | None = None) -> Page[Run]:
        """List a page of runs."""
        ...

    async def find_run(self, name: str, *, experiment_id: str = "", namespace: str = "") -> Run | None:
        """Look up a run whose name is unique."""
        ...

    async def terminate_run(self, run_id: str, *, due: float | None = None) -> None:
        """Have a run stopped."""
        ...

    async def delete_run(self, run_id: str, *, due: float | None = None) -> None:
        """Delete a run."""
        ...

    # experiments

    async def create_experiment(
        self, name: str, *, namespace: str = "", description: str = "", due: float | None = None
    ) -> Experiment:
        """Create an experiment; names are unique in a namespace."""
        ...

    async def get_experiment(self, experiment_id: str, *, due: float | None = None) -> Experiment:
        """Get one experiment."""
        ...

    async def list_experiments(self, query: ListQuery, *, due: float | None = None) -> Page[Experiment]:
        """List a page of experiments."""
        ...

    async def find_experiment(self, name: str, *, namespace: str = "") -> Experiment | None:
        """Look up an experiment by name."""
        ...

    async def delete_experiment(self, experiment_id: str, *, due: float | None = None) -> None:
        """Delete an experiment. Its runs stay."""
        ...

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
        ...

    async def upload_pipeline_version(
        self, content: bytes, *, pipeline_id: str, name: str, description: str = "", due: float | None = None
    ) -> PipelineVersion:
        """Upload another version of a pipeline (IR YAML)."""
        ...

    async def get_pipeline(self, pipeline_id: str, *, due: float | None = None) -> Pipeline:
        """Get one pipeline."""
        ...

    async def list_pipelines(self, query: ListQuery, *, due: float | None = None) -> Page[Pipeline]:
        """List a page of pipelines."""
        ...

    async def find_pipeline(self, name: str, *, namespace: str = "") -> Pipeline | None:
        """Look up a pipeline by name."""
        ...

    async def delete_pipeline(
        self, pipeline_id: str, *, cascade: bool = False, due: float | None = None
    ) -> None:
        """Delete a pipeline; with `cascade` its versions too (servers before 2.14 do not know that)."""
        ...

    async def get_pipeline_version(
        self, pipeline_id: str, version_id: str, *, due: float | None = None
    ) -> PipelineVersion:
        """Get one version."""
        ...

    async def list_pipeline_versions(
        self, pipeline_id: str, query: ListQuery, *, due: float | None = None
    ) -> Page[PipelineVersion]:
        """List a page of a pipeline's versions."""
        ...

    async def delete_pipeline_version(
        self, pipeline_id: str, version_id: str, *, due: float | None = None
    ) -> None:
        """Delete one version."""
        ...

    # recurring runs

    async def create_recurring_run(
        self,
        spec: RecurringRunSpec,
        *,
        due: float | None = None,
        on_sample: Callable[[Sample], None] | None = None,
    ) -> RecurringRun:
        """Create a schedule. Names are not unique."""
        ...

    async def list_recurring_runs(self, query: ListQuery, *, due: float | None = None) -> Page[RecurringRun]:
        """List a page of schedules."""
        ...

    async def disable_recurring_run(self, recurring_run_id: str, *, due: float | None = None) -> None:
        """Stop a schedule from firing. Its active runs go on."""
        ...

    async def delete_recurring_run(self, recurring_run_id: str, *, due: float | None = None) -> None:
        """Delete a schedule. Its runs stay."""
        ...
