"""KFP's v2beta1 messages, as far as they are used: fields that are not declared here are not decoded.

The server omits fields that are unset, zero, false or empty, so every field but the id has a default. Times
travel as RFC 3339 text in whole seconds; the attributes named `*_at` give them as seconds since the Unix epoch,
or None if there is none, which the server may also write as year 1 or as 1970-01-01T00:00:00Z.

They are in proto3's JSON mapping (https://protobuf.dev/programming-guides/json/): a field that is unset may be
missing or null, and a number may be a number or a text: 64-bit integers always are a text. KFP's own gateway omits
unset fields, but what stands before it may write the JSON anew.
"""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

import msgspec

Answer = TypeVar("Answer")
Item = TypeVar("Item")

#: What decoding a hostile body may raise; the last is for brackets that are nested too deeply.
UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
# The server writes "not yet" as a zero time: year 0001 in Go, 1970 in protobuf.
_FIRST_PLAUSIBLE_YEAR = 1971


class ProtoJsonDecoder(Generic[Answer]):
    """Decodes one type. Made at import: decoders that two threads make at one moment crash the interpreter."""

    def __init__(self, answer: type[Answer]) -> None:
        self._usual = msgspec.json.Decoder(answer)
        self._lenient = msgspec.json.Decoder(answer, strict=False)

    def decode(self, body: bytes | msgspec.Raw) -> Answer:
        """Return the message. Raises what `UNDECODABLE` lists; a `msgspec.ValidationError` names the field."""
        try:
            return self._usual.decode(body)
        except msgspec.ValidationError:
            # Rare, so the usual answer does not pay for it.
            return self._lenient.decode(msgspec.json.encode(_without_nulls(msgspec.json.decode(body))))


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


@functools.lru_cache(maxsize=4096)
def parse_time(text: str) -> float | None:
    """Return seconds since the Unix epoch of an RFC 3339 time; None for the server's zero times and invalid text.

    Cached, since whole seconds repeat often.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.year < _FIRST_PLAUSIBLE_YEAR:
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()


def format_time(seconds: float) -> str:
    """Write seconds since the Unix epoch as RFC 3339 in UTC, whole seconds (the fraction is cut off)."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class RunState(StrEnum):
    """States of a run. The server may also give no state, or one that is not listed here."""

    UNSPECIFIED = "RUNTIME_STATE_UNSPECIFIED"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    CANCELING = "CANCELING"
    SUCCEEDED = "SUCCEEDED"
    SKIPPED = "SKIPPED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"


FINAL_STATES = frozenset({RunState.SUCCEEDED, RunState.SKIPPED, RunState.FAILED, RunState.CANCELED})
ACTIVE_STATES = frozenset(RunState) - FINAL_STATES


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """The base of all messages."""


class Healthz(Message, frozen=True, kw_only=True):
    """The answer to the health check. `is_kfp`: it has at least one of the fields that a KFP API server sends."""

    commit_sha: str = ""
    tag_name: str = ""
    multi_user: bool | msgspec.UnsetType = msgspec.UNSET
    pipeline_store: str = ""

    @property
    def is_kfp(self) -> bool:
        """Whether a KFP API server sent this."""
        return bool(self.commit_sha or self.tag_name or self.multi_user is not msgspec.UNSET)


class StateChange(Message, frozen=True, kw_only=True, rename={"update_time_text": "update_time"}):
    """An entry of a state history: the reported state, when it was reported, and its error."""

    state: str = ""
    update_time_text: str = ""
    error: msgspec.Raw = msgspec.Raw(b"")

    @property
    def updated_at(self) -> float | None:
        """When the API server received the report."""
        return parse_time(self.update_time_text)


class RunDetails(Message, frozen=True, kw_only=True):
    """The details of a run. `task_details`, which is most of the message, is decoded only when it is needed."""

    task_details: msgspec.Raw = msgspec.Raw(b"")


class _Dated(Message, frozen=True, kw_only=True, rename={"created_text": "created_at"}):
    created_text: str = ""

    @property
    def created_at(self) -> float | None:
        """When the API server created it."""
        return parse_time(self.created_text)


class Run(
    _Dated,
    frozen=True,
    kw_only=True,
    rename={"created_text": "created_at", "scheduled_text": "scheduled_at", "finished_text": "finished_at"},
):
    """A run. List, get and create give the same fields.

    Errors are decoded only when they are needed, so that one of an unexpected shape does not invalidate the run.
    """

    run_id: str
    display_name: str = ""
    experiment_id: str = ""
    recurring_run_id: str = ""
    state: str = ""
    storage_state: str = ""
    scheduled_text: str = ""
    finished_text: str = ""
    state_history: list[StateChange] = []
    error: msgspec.Raw = msgspec.Raw(b"")
    run_details: RunDetails | None = None

    @property
    def scheduled_at(self) -> float | None:
        """The slot of a schedule, or the creation."""
        return parse_time(self.scheduled_text)

    @property
    def finished_at(self) -> float | None:
        """When the workflow controller saw its end; None before that."""
        return parse_time(self.finished_text)

    @property
    def is_final(self) -> bool:
        """Whether the run has ended; only a retry changes such a state."""
        return self.state in FINAL_STATES

    @property
    def error_message(self) -> str:
        """KFP's error of the run, else that of its latest state that has one; empty if there is none."""
        errors = [self.error, *(change.error for change in reversed(self.state_history))]
        return next((text for text in map(_message_of, errors) if text), "")


class _Status(msgspec.Struct):
    """A google.rpc.Status."""

    message: str = ""


_status_decoder: ProtoJsonDecoder[_Status | str] = ProtoJsonDecoder(_Status | str)  # type: ignore[arg-type]


def _message_of(error: msgspec.Raw) -> str:
    if not bytes(error):
        return ""
    try:
        status = _status_decoder.decode(error)
    except UNDECODABLE:
        return ""
    return status if isinstance(status, str) else status.message


class Experiment(_Dated, frozen=True, kw_only=True):
    """An experiment."""

    experiment_id: str
    display_name: str = ""
    namespace: str = ""
    storage_state: str = ""


class Pipeline(_Dated, frozen=True, kw_only=True):
    """A pipeline. Servers before 2.14 have only `display_name`, no `name`."""

    pipeline_id: str
    name: str = ""
    display_name: str = ""
    namespace: str = ""


class PipelineVersion(_Dated, frozen=True, kw_only=True):
    """A version of a pipeline."""

    pipeline_id: str = ""
    pipeline_version_id: str
    name: str = ""
    display_name: str = ""


class RecurringRun(_Dated, frozen=True, kw_only=True):
    """A recurring run. `mode` is ENABLE or DISABLE; `status` ENABLED or DISABLED."""

    recurring_run_id: str
    display_name: str = ""
    experiment_id: str = ""
    namespace: str = ""
    mode: str = ""
    status: str = ""


class Page(Message, Generic[Item], frozen=True, kw_only=True):
    """One page of a list. `next_page_token` is empty on the last; `total_size` counts all that match."""

    items: list[Item] = []
    next_page_token: str = ""
    total_size: int = 0


class RunPage(Page[Run], frozen=True, kw_only=True):
    """A page of runs."""

    items: list[Run] = msgspec.field(default_factory=list, name="runs")


class ExperimentPage(Page[Experiment], frozen=True, kw_only=True):
    """A page of experiments."""

    items: list[Experiment] = msgspec.field(default_factory=list, name="experiments")


class PipelinePage(Page[Pipeline], frozen=True, kw_only=True):
    """A page of pipelines."""

    items: list[Pipeline] = msgspec.field(default_factory=list, name="pipelines")


class PipelineVersionPage(Page[PipelineVersion], frozen=True, kw_only=True):
    """A page of pipeline versions."""

    items: list[PipelineVersion] = msgspec.field(default_factory=list, name="pipeline_versions")


class RecurringRunPage(Page[RecurringRun], frozen=True, kw_only=True):
    """A page of recurring runs. The server's key is camelCase here, and only here."""

    items: list[RecurringRun] = msgspec.field(default_factory=list, name="recurringRuns")


class RunSpec(Message, frozen=True, kw_only=True):
    """A run to create. Without `pipeline_version_id` the server takes the newest version."""

    name: str
    experiment_id: str = ""
    pipeline_id: str = ""
    pipeline_version_id: str = ""
    parameters: dict[str, Any] = {}
    pipeline_root: str = ""
    service_account: str = ""
    description: str = ""

    def body(self) -> dict[str, Any]:
        """The request's JSON."""
        return _without_empty(
            {
                "display_name": self.name,
                "description": self.description,
                "experiment_id": self.experiment_id,
                "pipeline_version_reference": _without_empty(
                    {"pipeline_id": self.pipeline_id, "pipeline_version_id": self.pipeline_version_id}
                ),
                "runtime_config": _without_empty(
                    {"parameters": self.parameters, "pipeline_root": self.pipeline_root}
                ),
                "service_account": self.service_account,
            }
        )


class RecurringRunSpec(RunSpec, frozen=True, kw_only=True):
    """A recurring run to create: by `cron` (six fields, seconds first) or every `interval_seconds`.

    KFP's cron has a first field for seconds, and misreads standard expressions of five fields: write a `0`
    before those. `max_concurrency` is 1 to 10.
    """

    cron: str = ""
    interval_seconds: int = 0
    start_at: float | None = None
    end_at: float | None = None
    max_concurrency: int = 10
    no_catchup: bool = False
    enabled: bool = True

    def body(self) -> dict[str, Any]:
        """The request's JSON."""
        window = _without_empty(
            {
                "start_time": format_time(self.start_at) if self.start_at is not None else "",
                "end_time": format_time(self.end_at) if self.end_at is not None else "",
            }
        )
        trigger: dict[str, Any] = {}
        if self.cron:
            trigger["cron_schedule"] = {"cron": self.cron, **window}
        if self.interval_seconds:
            trigger["periodic_schedule"] = {"interval_second": str(self.interval_seconds), **window}
        return RunSpec.body(self) | {
            "trigger": trigger,
            "max_concurrency": str(self.max_concurrency),
            "no_catchup": self.no_catchup,
            # Without a mode the server creates a disabled schedule.
            "mode": "ENABLE" if self.enabled else "DISABLE",
        }


def _without_empty(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in ("", {}, None)}
