"""Messages for invalid values: converts pydantic's errors into problems with a remedy."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from kfp_perf.errors import Problem
from kfp_perf.scenario.model import TestScenario
from kfp_perf.scenario.parts import DEFAULT_MIX, Prefill, Stage
from kfp_perf.scenario.quantities import format_value
from kfp_perf.scenario.rules import ScenarioFaults

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails

_LIMITS = "set limits in the pipeline, with set_cpu_limit and set_memory_limit of its tasks"
EARLIER_FIELDS = {
    "concurrency": "write numTimes: how many are kept in flight",
    "concurrentRuns": "write numTimes: how many are kept in flight",
    "resourceLimits": _LIMITS,
    "resource_limits": _LIMITS,
    "duration": "write runTime, in minutes",
    "pipelineFile": "write pipelineFileName",
    "pipelineParams": "write params",
    "parameters": "write params",
    "schedule": "write cron",
}
"""Earlier or foreign names of fields, and what to write instead."""

_NESTED: dict[str, type[BaseModel]] = {"stages": Stage, "prefill": Prefill}


# The texts of pydantic's errors; `{...}` are its own values, {got} is the input.
_WORDS: dict[str, str] = {
    "missing": "is missing",
    "greater_than": "must be greater than {gt}, got {got}",
    "greater_than_equal": "must be at least {ge}, got {got}",
    "less_than": "must be less than {lt}, got {got}",
    "less_than_equal": "must be at most {le}, got {got}",
    "finite_number": "must be a finite number, got {got}",
    "int_type": "must be a whole number, got {got}",
    "int_from_float": "must be a whole number, got {got}",
    "int_parsing_size": "is too large a number",
    "float_type": "must be a number, got {got}",
    "float_parsing": "must be a number, got {got}",
    "string_type": "must be a string, got {got}",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "must match {pattern}, got {got}",
    "bool_type": "must be true or false, got {got}",
    "dict_type": "must be an object, got {got}",
    "model_type": "must be an object, got {got}",
    "model_attributes_type": "must be an object, got {got}",
    "list_type": "must be a list, got {got}",
    "tuple_type": "must be a list, got {got}",
    "too_short": "must not be empty",
    "too_long": "must be at most {max_length} long",
    "literal_error": "must be one of {expected}; got {got}",
}


def problems_of(
    error: ValidationError,
    model: type[BaseModel],
    where: Callable[[tuple[int | str, ...]], str],
    hint: str = "",
) -> list[Problem]:
    """Turn pydantic's errors into problems; `where` makes the place from a location."""
    details = error.errors(include_url=False)
    spoilt = {detail["loc"][:size] for detail in details for size in range(len(detail["loc"]))}
    problems: list[Problem] = []
    for detail in details:
        loc = detail["loc"]
        if loc[-1:] == ("[key]",) and detail["type"] != "extra_forbidden":
            loc = loc[:-1]  # pydantic's mark of a wrong key; a field may have that name too
        cause = detail.get("ctx", {}).get("error")
        if isinstance(cause, ScenarioFaults):
            for fault in cause.faults:
                alias = model.model_fields[fault.field].alias or fault.field
                problems.append(Problem(where((alias,)), fault.what, fault.remedy))
        elif detail["type"] == "extra_forbidden":
            what, remedy = unknown_field(str(loc[-1]), _owner(loc, model))
            problems.append(Problem(where(loc), what, hint or remedy))
        elif detail["type"] != "too_short" or detail["loc"] not in spoilt:
            problems.append(Problem(where(loc), *_text_of(detail, loc, model)))
    return problems


def _owner(loc: tuple[int | str, ...], model: type[BaseModel]) -> type[BaseModel]:
    return _NESTED.get(str(loc[0]), model) if len(loc) > 1 else model


def _text_of(detail: ErrorDetails, loc: tuple[int | str, ...], model: type[BaseModel]) -> tuple[str, str]:
    """Return what is wrong and what to do."""
    context = {
        key: f"{value:g}" if isinstance(value, float) else value
        for key, value in detail.get("ctx", {}).items()
    }
    if "what" in context:
        return str(context["what"]), str(context.get("remedy", ""))
    words = _WORDS.get(detail["type"])
    got = format_value(detail["input"])
    what = words.format(got=got, **context) if words else f"{detail['msg']}, got {got}"
    if detail["type"] == "literal_error" and loc[0] == "mix":
        near = difflib.get_close_matches(str(loc[-1]), DEFAULT_MIX, n=1, cutoff=0.5)
        remedy = _did_you_mean(near) or f"use {', '.join(DEFAULT_MIX)}"
        return "is a call that RANDOM_GETS does not make", remedy
    owner = _owner(loc, model)
    info = next(
        (info for info in owner.model_fields.values() if info.alias == (loc[-1] if loc else None)), None
    )
    return what, (info.description or "") if info else ""


def unknown_field(name: str, model: type[BaseModel]) -> tuple[str, str]:
    """Return the remedy for an unknown field: the most similar known one, or the present name."""
    aliases = [info.alias or key for key, info in model.model_fields.items()]
    if issubclass(model, TestScenario) and name in EARLIER_FIELDS:
        return "is not a field of a scenario", EARLIER_FIELDS[name]
    lowered = {alias.lower(): alias for alias in aliases}
    near = difflib.get_close_matches(name.lower().replace("_", "").replace("-", ""), lowered, n=1)
    remedy = _did_you_mean([lowered[near[0]]] if near else []) or f"allowed: {', '.join(aliases)}"
    return "is not a known field", remedy


def _did_you_mean(near: list[str]) -> str:
    return f"did you mean {near[0]}?" if near else ""


_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "true or false"),
    (dict, "an object"),
    (list, "a list"),
    (str, "a string"),
    (int, "a number"),
    (float, "a number"),
)


def kind_of(value: object) -> str:
    """Return what kind of JSON value this is."""
    return next((word for kind, word in _KINDS if isinstance(value, kind)), "null")
