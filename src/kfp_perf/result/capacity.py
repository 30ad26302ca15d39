"""The answer of a search for the capacity: what `study.json` holds of it, for reports and comparisons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from kfp_perf.errors import InputError, Problem

if TYPE_CHECKING:
    from kfp_perf.result.study import Study

KIND = "capacity"

Component = Literal["api server", "controller", "pods", "agent", "unknown"]


class PlateauRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One plateau. `rate` is what was offered: operations a second, or slots of a closed load.

    `part` is light load, ramp or plateau. `growth` is the share of the arrivals in the measured time that did
    not leave, with its standard error. `completed` are operations a second that left in that time. `visible_*`
    are from due to visible of the runs due in it (None: not reached), `latency_p95` that of the commonest call
    of the load. `broken` are the thresholds that were not kept, `stopped` is why the load ended early.
    `invalid`: the generator did not keep up, and the plateau does not count. `recovery_seconds` is from the end
    of the load until all runs had ended by themselves; None where they were terminated. `seconds` is the whole
    time with the clean-up.
    """

    execution: int
    part: str
    rate: float
    fill_seconds: float
    measured_seconds: float
    held: bool
    kept_up: bool
    growth: float | None = None
    growth_error: float | None = None
    completed: float | None = None
    visible_p50: float | None = None
    visible_p90: float | None = None
    latency_p95: float | None = None
    success_rate: float | None = None
    broken: tuple[str, ...] = ()
    stopped: str = ""
    invalid: bool = False
    recovery_seconds: float | None = None
    seconds: float = 0.0


class PhaseRecord(msgspec.Struct, frozen=True):
    """A phase: its mean seconds at light load and in the last third at the limit, and its growth there."""

    phase: str
    light_seconds: float | None
    limit_seconds: float
    growth: float


class EvidenceRecord(msgspec.Struct, frozen=True):
    """A figure of a component by its own metrics: at light load and at the limit, in seconds, pieces or a share.

    `setting` is the place of the setting that it points at among those of the component.
    """

    component: Component
    meaning: str
    light: float | None
    limit: float
    unit: str
    setting: int = 0


class CauseRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What gave way first: a component, or thresholds; the phases by growth, and the execution that showed it.

    `evidence` is what rose of what the components say of themselves; empty where nothing did, or could be read.
    """

    component: Component
    execution: int | None = None
    phases: tuple[PhaseRecord, ...] = ()
    thresholds: tuple[str, ...] = ()
    evidence: tuple[EvidenceRecord, ...] = ()


class BoundRecord(msgspec.Struct, frozen=True):
    """A threshold on the capacity itself, and whether it was kept (None: it is undecided)."""

    name: str
    condition: str
    value: float | None
    passed: bool | None


class CapacityRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a search so far. Rates are operations a second, of a closed load slots.

    `status` is how the search ended, empty while it goes on. `rate` is the capacity, None where it was not
    enclosed. `low` and `high` are its interval, `held` and `failed` the plateaus between which it lies.
    `backlog_held` and `backlog_failed` enclose the load at which the backlog grows, whatever the thresholds.
    `operation` is what is counted (run, read, ...).
    """

    scenario: str
    operation: str
    closed: bool
    precision: float
    first_rate: float
    highest_rate: float | None
    status: str = ""
    rate: float | None = None
    low: float | None = None
    high: float | None = None
    held: float | None = None
    failed: float | None = None
    backlog_held: float | None = None
    backlog_failed: float | None = None
    plateaus: tuple[PlateauRecord, ...] = ()
    cause: CauseRecord | None = None
    bounds: tuple[BoundRecord, ...] = ()


_decoder = msgspec.json.Decoder(CapacityRecord)


def capacity_of(study: Study) -> CapacityRecord:
    """The answer of a capacity study. Raises `InputError` where it has none yet, or is of another kind."""
    where = str(study.path)
    if study.record.kind != KIND:
        raise InputError(Problem(where, f"is a {study.record.kind}, not a search for the capacity"))
    if not study.record.answer:
        raise InputError(Problem(where, "holds no plateau that ended", "Run kfp-perf capacity again."))
    try:
        return _decoder.decode(msgspec.json.encode(study.record.answer))
    except msgspec.ValidationError as error:
        raise InputError(Problem(f"{where}: answer", f"cannot be read: {error}")) from None
