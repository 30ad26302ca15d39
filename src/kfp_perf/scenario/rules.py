"""Rules between the fields of a scenario, beyond what each field must be by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kfp_perf.scenario.modes import PLUGIN_MODE, SPECIAL_FIELDS, mode_of, modes_with
from kfp_perf.scenario.quantities import Rate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kfp_perf.scenario.fields import ScenarioFields

TOLERATED_FIELDS = frozenset({"pipeline_file_name", "params", "cron"})
"""Fields that a mode which does not use them ignores with a warning; others are errors there."""

LOAD_FIELDS = ("num_times", "arrival_rate", "stages")
"""The three ways to give the load; a scenario uses one of them."""


class Fault(NamedTuple):
    """A rule that a scenario breaks: `field` is the attribute that is to be changed."""

    field: str
    what: str
    remedy: str = ""


class ScenarioFaults(ValueError):
    """The rules that a scenario breaks, all of them."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults
        super().__init__("; ".join(f"{fault.field}: {fault.what}" for fault in faults))


def suits(field: str, mode_name: str) -> bool:
    """Return whether a mode uses a field; a mode of a plug-in uses every field."""
    return field not in SPECIAL_FIELDS or field in mode_of(mode_name).fields


def unused_fields(scenario: ScenarioFields) -> list[str]:
    """Return the given fields that the scenario's mode does not use, in the order of the reference."""
    return [
        field
        for field in type(scenario).model_fields
        if field in scenario.model_fields_set and not suits(field, scenario.mode_name)
    ]


def faults_of(scenario: ScenarioFields) -> list[Fault]:
    """Return every rule that a scenario breaks; its fields are good by themselves."""
    if scenario.run_time is None and not scenario.run_seconds:
        what = "is missing, and the stages last 0 s together" if scenario.stages else "is missing"
        return [Fault("run_time", what, 'write a time such as "5m"; only stages make up for it')]
    return [fault for rule in _RULES for fault in rule(scenario)]


def _fields_suit_the_mode(scenario: ScenarioFields) -> Iterator[Fault]:
    for field in unused_fields(scenario):
        if field not in TOLERATED_FIELDS:
            modes = ", ".join(modes_with(field))
            yield Fault(field, f"is not used by mode {scenario.mode_name}", f"remove it; it is for {modes}")


def _one_load(scenario: ScenarioFields) -> Iterator[Fault]:
    given = [
        field
        for field in LOAD_FIELDS
        if field in scenario.model_fields_set and getattr(scenario, field) is not None
    ]
    names = {"num_times": "numTimes", "arrival_rate": "arrivalRate", "stages": "stages"}
    for field in given[1:]:
        yield Fault(
            field,
            f"cannot be given together with {names[given[0]]}",
            "numTimes is a number kept in flight, arrivalRate a rate of new work, stages a load that changes: "
            "keep one of them",
        )


def _open_model_fields(scenario: ScenarioFields) -> Iterator[Fault]:
    rate = scenario.rate
    if rate is None and "arrivals" in scenario.model_fields_set:
        yield Fault("arrivals", "needs a rate", "give arrivalRate, or stages of rates")
    if rate is None and scenario.max_in_flight is not None:
        yield Fault(
            "max_in_flight", "needs a rate", "without a rate numTimes is already the number in flight"
        )
    if rate is not None and scenario.think_time is not None:
        yield Fault(
            "think_time",
            "cannot be given with a rate",
            "work that arrives at a rate does not pause: remove it",
        )


def _stages_add_up(scenario: ScenarioFields) -> Iterator[Fault]:
    if not scenario.stages:
        return
    targets = [stage.target for stage in scenario.stages]
    kinds = {isinstance(target, Rate) for target in targets}
    if len(kinds) > 1:
        yield Fault(
            "stages", "mixes slots and rates", "make every target a number of slots, or every target a rate"
        )
    total = sum(stage.duration_seconds for stage in scenario.stages)
    if abs(total - scenario.run_seconds) > 0.001:
        yield Fault(
            "stages",
            f"last {total:g} s together, but runTime is {scenario.run_seconds:g} s",
            "leave runTime out, or make the durations add up to it",
        )
    if not any(target.per_second if isinstance(target, Rate) else target for target in targets):
        yield Fault("stages", "never ask for any load", "give at least one stage a target above 0")
    if scenario.mode_entry.num_times != "in_flight" and False in kinds:
        what = f"must be rates in mode {scenario.mode_name}"
        yield Fault("stages", what, 'write targets such as "10/min"')


def _warmup_ends(scenario: ScenarioFields) -> Iterator[Fault]:
    if scenario.warmup_seconds >= scenario.run_seconds:
        yield Fault(
            "warmup",
            f"must be shorter than runTime ({scenario.run_seconds:g} s), got {scenario.warmup_seconds:g} s",
            "nothing would be left to measure",
        )


def _mix_has_weight(scenario: ScenarioFields) -> Iterator[Fault]:
    if scenario.mix is not None and not sum(scenario.mix.values()):
        yield Fault("mix", "gives no call a weight above 0", "give at least one call a positive weight")


def _one_pipeline(scenario: ScenarioFields) -> Iterator[Fault]:
    if scenario.size is not None and scenario.pipeline_file_name is not None:
        yield Fault(
            "size",
            "cannot be given together with pipelineFileName",
            "remove one of them: a file has its own size",
        )


def _one_schedule(scenario: ScenarioFields) -> Iterator[Fault]:
    # A mode of a plug-in may use a schedule, and does not need one.
    if "cron" not in scenario.mode_entry.fields or scenario.mode_entry is PLUGIN_MODE:
        return
    if scenario.cron is None and scenario.interval is None:
        what = f"is missing: mode {scenario.mode_name} needs a schedule"
        yield Fault("cron", what, 'write "*/5 * * * *" for a run each five minutes')
    if scenario.cron is not None and scenario.interval is not None:
        yield Fault("interval", "cannot be given together with cron", "keep one of them")
    seconds = scenario.interval_seconds
    if seconds is not None and (seconds < 1 or seconds != round(seconds)):
        yield Fault(
            "interval", f"must be whole seconds, at least 1, got {seconds:g} s", "the API counts in seconds"
        )


_RULES: tuple[Callable[[ScenarioFields], Iterator[Fault]], ...] = (
    _fields_suit_the_mode,
    _one_load,
    _open_model_fields,
    _stages_add_up,
    _warmup_ends,
    _mix_has_weight,
    _one_pipeline,
    _one_schedule,
)
