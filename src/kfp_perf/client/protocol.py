"""The protocol of a client of the KFP API: the calls that kfp-perf makes, and no others.

Every call raises an `ApiError` when it fails. `due` is when the request should leave, in seconds since the Unix
epoch (None: now); every call becomes a `Sample`, which `on_sample` is given as well.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, Self
from urllib.parse import quote

import msgspec

from kfp_perf.client.messages import format_time

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
    from kfp_perf.result.records import Purpose, Sample

MAXIMUM_PAGE_SIZE = 200  # the server clamps larger ones

#: The variants of list reads, which cost a server differently. A read is of the first that fits.
VARIANTS = {
    "later_page": "pages after the first",
    "searched": "searches by a part of the name",
    "in_experiment": "lists within one experiment",
    "sorted": "lists in another order than newest first",
    "newest": "the newest first",
}


class Operator(StrEnum):
    """Comparisons that a filter can make."""

    EQUALS = "EQUALS"
    NOT_EQUALS = "NOT_EQUALS"
    GREATER_THAN = "GREATER_THAN"
    GREATER_THAN_EQUALS = "GREATER_THAN_EQUALS"
    LESS_THAN = "LESS_THAN"
    LESS_THAN_EQUALS = "LESS_THAN_EQUALS"
    IN = "IN"
    IS_SUBSTRING = "IS_SUBSTRING"


class Predicate(msgspec.Struct, frozen=True):
    """One condition on a key. A float is a time, in seconds since the Unix epoch; IN takes a tuple of texts."""

    key: str
    operator: Operator
    value: str | int | float | tuple[str, ...]

    def wire(self) -> dict[str, Any]:
        """The predicate as the server's JSON has it."""
        match self.value:
            case str():
                value: dict[str, Any] = {"string_value": self.value}
            case int():
                value = {"int_value": self.value}
            case float():
                value = {"timestamp_value": format_time(self.value)}
            case _:
                value = {"string_values": {"values": self.value}}
        return {"operation": self.operator.value, "key": self.key, **value}


class ListQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of a list call. Conditions of `filter` all have to hold; `sort_by` is `field [asc|desc]`.

    With a `page_token` the order and the filter are left out of the request: the token holds both, and the
    server refuses numeric, timestamp and IN predicates that come beside it.
    """

    namespace: str = ""
    experiment_id: str = ""
    page_token: str = ""
    page_size: int = 0
    sort_by: str = ""
    filter: tuple[Predicate, ...] = ()

    def next(self, page_token: str) -> ListQuery:
        """The query for a later page."""
        return msgspec.structs.replace(self, page_token=page_token)

    @property
    def variant(self) -> str:
        """Which of VARIANTS this read is."""
        if self.page_token:
            return "later_page"
        if any(predicate.operator is Operator.IS_SUBSTRING for predicate in self.filter):
            return "searched"
        if self.experiment_id:
            return "in_experiment"
        return "newest" if self.sort_by == "created_at desc" else "sorted"

    def encode(self) -> str:
        """The query string, with its question mark; empty where there are no parameters."""
        fields: list[tuple[str, str]] = [
            ("namespace", self.namespace),
            ("experiment_id", self.experiment_id),
            ("page_token", self.page_token),
            ("page_size", str(self.page_size or "")),
        ]
        if not self.page_token:
            fields.append(("sort_by", self.sort_by))
            if self.filter:
                fields.append(("filter", encode_filter(self.filter)))
        return encode_fields(fields)


def encode_filter(predicates: tuple[Predicate, ...]) -> str:
    """The filter's JSON.

    The server decodes percent signs and plus signs in it a second time, so both are written as JSON escapes,
    which mean the same to a server that decodes once.
    """
    text = msgspec.json.encode({"predicates": [predicate.wire() for predicate in predicates]}).decode()
    return text.replace("%", "\\u0025").replace("+", "\\u002b")


def encode_fields(fields: list[tuple[str, str]]) -> str:
    """A query string of the fields that are not empty, with its question mark."""
    pairs = "&".join(f"{name}={quote(value, safe='')}" for name, value in fields if value)
    return f"?{pairs}" if pairs else ""


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
        """Get the health of the API server."""
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
