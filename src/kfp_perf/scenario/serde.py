"""From files to scenarios: every error of a file at once, each with its path and what is allowed there."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from kfp_perf.errors import InputError, Problem
from kfp_perf.scenario.documents import parse_json, read_text, step
from kfp_perf.scenario.enums import EnumSerDe
from kfp_perf.scenario.model import DEFAULT_MIX, FileHead, Prefill, ScenarioFile, Stage, TestScenario
from kfp_perf.scenario.quantities import shown
from kfp_perf.scenario.rules import LOAD_FIELDS, ScenarioFaults, suits
from kfp_perf.scenario.schema import json_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from pydantic_core import ErrorDetails

__all__ = [
    "SCENARIO_FILE_KIND",
    "EnumSerDe",
    "JsonDeserializationUtils",
    "ParsedFile",
    "json_schema",
    "parse_scenarios",
    "read_scenario_file",
]

ModelT = TypeVar("ModelT", bound=BaseModel)

MAX_SCENARIOS = 1000
"""The most scenarios of one file: each has a thread of its own."""

SCENARIO_FILE_KIND = "scenario file: JSON with a list of scenarios"

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
"""Fields as they were called in earlier proposals or are called elsewhere, and what to write instead."""

_NESTED: dict[str, type[BaseModel]] = {"stages": Stage, "prefill": Prefill}


class JsonDeserializationUtils:
    """Reads JSON files into pydantic models."""

    @staticmethod
    def get_list_from_file(
        path: str | Path, item_type: type[ModelT], *, extra_modes: Collection[str] = ()
    ) -> list[ModelT]:
        """Return the items of a file: a JSON list of them, or for TestScenario the object form too.

        Raises InputError with every problem of the file.
        """
        label = str(path)
        if issubclass(item_type, TestScenario):
            text = read_text(Path(path), SCENARIO_FILE_KIND)
            parsed = parse_scenarios(text, label, scenario_type=item_type, extra_modes=extra_modes)
            _raise_if_any(parsed.problems)
            return [scenario for scenario in parsed.scenarios.values() if isinstance(scenario, item_type)]
        value, problems = parse_json(read_text(Path(path), "JSON file"), label)
        if not isinstance(value, list):
            raise InputError(Problem(label, f"must be a list, got {_kind_of(value)}"))
        items = []
        for index, raw in enumerate(value):
            try:
                items.append(item_type.model_validate(raw))
            except ValidationError as error:
                problems += _problems(error, item_type, partial(_path, f"{label}: $[{index}]"))
        _raise_if_any(problems)
        return items


def read_scenario_file(path: str | Path, *, extra_modes: Collection[str] = ()) -> ScenarioFile:
    """Return the scenarios of a file, with what the file says about all of them.

    `extra_modes` are the modes that plug-ins add. Raises InputError with every problem of the file.
    """
    parsed = parse_scenarios(read_text(Path(path), SCENARIO_FILE_KIND), str(path), extra_modes=extra_modes)
    _raise_if_any(parsed.problems)
    return ScenarioFile.model_construct(
        name=parsed.name,
        defaults=parsed.defaults,
        thresholds=parsed.thresholds,
        scenarios=tuple(parsed.scenarios.values()),
    )


@dataclass(slots=True)
class ParsedFile:
    """What could be read of a scenario file, and everything that could not.

    `label` names the file in messages; `scenarios` holds the good ones by their index in the file.
    """

    label: str
    name: str | None = None
    defaults: dict[str, Any] = field(default_factory=dict)
    thresholds: dict[str, str] = field(default_factory=dict)
    scenarios: dict[int, TestScenario] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    _root: str = "$"
    _own: dict[int, Mapping[str, Any]] = field(default_factory=dict)

    def where(self, index: int, loc: tuple[int | str, ...]) -> str:
        """Return the place of a value of a scenario: in the scenario itself, or in the defaults if it is theirs."""
        from_defaults = bool(loc) and loc[0] in self.defaults and loc[0] not in self._own.get(index, ())
        return self.place("$.defaults" if from_defaults else f"{self._root}[{index}]", loc)

    def place(self, root: str, loc: tuple[int | str, ...]) -> str:
        """Return the file and the path in it."""
        return f"{self.label}: {_path(root, loc)}"

    def complain(self, problems: Iterable[Problem]) -> None:
        """Keep problems, each once: a wrong default would else be told for every scenario."""
        self.problems += [problem for problem in problems if problem not in self.problems]


def parse_scenarios(
    text: str,
    label: str,
    *,
    scenario_type: type[TestScenario] = TestScenario,
    extra_modes: Collection[str] = (),
) -> ParsedFile:
    """Return all that a scenario file's text holds, good and bad. Raises InputError where it is no such file."""
    value, problems = parse_json(text, label)
    parsed = ParsedFile(label, problems=problems)
    spoilt = {problem.where for problem in problems}
    raw_scenarios: list[Any]
    if isinstance(value, list):
        raw_scenarios = value
    elif isinstance(value, dict):
        parsed._root = "$.scenarios"
        raw_scenarios = _read_object(value, parsed)
    else:
        remedy = "write a list of scenarios, or an object with the key `scenarios`"
        raise InputError(
            Problem(f"{label}: $", f"must be a list or an object, got {_kind_of(value)}", remedy)
        )
    if not 1 <= len(raw_scenarios) <= MAX_SCENARIOS and not parsed.problems:
        what = f"holds {len(raw_scenarios) or 'no'} scenarios"
        parsed.complain(
            [Problem(parsed.place(parsed._root, ()), what, f"write 1 to {MAX_SCENARIOS} of them")]
        )
        return parsed
    for index, raw in enumerate(raw_scenarios):
        if not isinstance(raw, dict):
            what, remedy = f"must be an object, got {_kind_of(raw)}", 'write {"mode": ..., "runTime": ...}'
            parsed.complain([Problem(parsed.where(index, ()), what, remedy)])
            continue
        parsed._own[index] = raw
        try:
            parsed.scenarios[index] = scenario_type.model_validate(
                _with_defaults(raw, parsed.defaults),
                by_alias=True,
                by_name=False,
                context={"extra_modes": tuple(extra_modes)},
            )
        except ValidationError as error:
            faults = _problems(error, scenario_type, partial(parsed.where, index))
            parsed.complain(fault for fault in faults if fault.where not in spoilt)
    return parsed


def _read_object(value: dict[str, Any], parsed: ParsedFile) -> list[Any]:
    """Take the object form apart; the scenarios are left to the caller."""
    try:
        head = FileHead.model_validate(
            {key: item for key, item in value.items() if key != "scenarios"}, by_alias=True, by_name=False
        )
        parsed.name, parsed.defaults, parsed.thresholds = head.name, head.defaults, head.thresholds
    except ValidationError as error:
        alone = "mode" in value or "runTime" in value
        hint = "this looks like one scenario: put it into a list, [{...}]" if alone else ""
        parsed.complain(_problems(error, ScenarioFile, partial(parsed.place, "$"), hint))
        defaults = value.get("defaults")
        parsed.defaults = dict(defaults) if isinstance(defaults, dict) else {}
    known = {info.alias for info in TestScenario.model_fields.values()}
    for name in parsed.defaults.keys() - known:
        parsed.complain([Problem(parsed.place("$.defaults", (name,)), *_unknown_field(name, TestScenario))])
    parsed.defaults = {name: item for name, item in parsed.defaults.items() if name in known}
    scenarios = value.get("scenarios")
    if isinstance(scenarios, list):
        return scenarios
    what = "is missing" if "scenarios" not in value else f"must be a list, got {_kind_of(scenarios)}"
    parsed.complain([Problem(parsed.place("$", ("scenarios",)), what, "write a list of scenarios")])
    return []


def _with_defaults(own: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return a scenario's raw fields over the defaults that suit its mode and do not contradict it."""
    mode = own.get("mode", defaults.get("mode"))
    alias_to_name = {info.alias: name for name, info in TestScenario.model_fields.items()}
    own_names = {alias_to_name.get(alias, alias) for alias in own}
    rivals: set[str] = set()
    for group in (set(LOAD_FIELDS), {"cron", "interval"}):
        if group & own_names:
            rivals |= group
    merged = {
        alias: value
        for alias, value in defaults.items()
        if alias_to_name.get(alias, alias) not in rivals
        and (not isinstance(mode, str) or suits(alias_to_name.get(alias, alias), mode))
    }
    return {**merged, **own}


# How pydantic's errors are said; `{...}` are its own values, {got} is what was given.
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
    "string_type": "must be a text, got {got}",
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


def _problems(
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
        loc = tuple(part for part in detail["loc"] if part != "[key]")
        cause = detail.get("ctx", {}).get("error")
        if isinstance(cause, ScenarioFaults):
            for fault in cause.faults:
                alias = model.model_fields[fault.field].alias or fault.field
                problems.append(Problem(where((alias,)), fault.what, fault.remedy))
        elif detail["type"] == "extra_forbidden":
            what, remedy = _unknown_field(str(loc[-1]), _owner(loc, model))
            problems.append(Problem(where(loc), what, hint or remedy))
        elif detail["type"] != "too_short" or detail["loc"] not in spoilt:
            problems.append(Problem(where(loc), *_said(detail, loc, model)))
    return problems


def _owner(loc: tuple[int | str, ...], model: type[BaseModel]) -> type[BaseModel]:
    return _NESTED.get(str(loc[0]), model) if len(loc) > 1 else model


def _said(detail: ErrorDetails, loc: tuple[int | str, ...], model: type[BaseModel]) -> tuple[str, str]:
    """Return what is wrong and what to do, in our words."""
    context = {
        key: f"{value:g}" if isinstance(value, float) else value
        for key, value in detail.get("ctx", {}).items()
    }
    if "what" in context:
        return str(context["what"]), str(context.get("remedy", ""))
    words = _WORDS.get(detail["type"])
    got = shown(detail["input"])
    what = words.format(got=got, **context) if words else f"{detail['msg']}, got {got}"
    if detail["type"] == "literal_error" and loc[0] == "mix":
        near = difflib.get_close_matches(str(loc[-1]), DEFAULT_MIX, n=1, cutoff=0.5)
        return "is a call that RANDOM_GETS does not make", _did_you_mean(
            near
        ) or f"use {', '.join(DEFAULT_MIX)}"
    owner = _owner(loc, model)
    info = next(
        (info for info in owner.model_fields.values() if info.alias == (loc[-1] if loc else None)), None
    )
    return what, (info.description or "") if info else ""


def _unknown_field(name: str, model: type[BaseModel]) -> tuple[str, str]:
    aliases = [info.alias or key for key, info in model.model_fields.items()]
    if model is TestScenario and name in EARLIER_FIELDS:
        return "is not a field of a scenario", EARLIER_FIELDS[name]
    lowered = {alias.lower(): alias for alias in aliases}
    near = difflib.get_close_matches(name.lower().replace("_", "").replace("-", ""), lowered, n=1)
    remedy = _did_you_mean([lowered[near[0]]] if near else []) or f"allowed: {', '.join(aliases)}"
    return "is not a known field", remedy


def _did_you_mean(near: list[str]) -> str:
    return f"did you mean {near[0]}?" if near else ""


def _path(root: str, loc: tuple[int | str, ...]) -> str:
    path = root
    for part in loc:
        path = step(path, part)
    return path


_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "true or false"),
    (dict, "an object"),
    (list, "a list"),
    (str, "a text"),
    (int, "a number"),
    (float, "a number"),
)


def _kind_of(value: object) -> str:
    return next((word for kind, word in _KINDS if isinstance(value, kind)), "null")


def _raise_if_any(problems: list[Problem]) -> None:
    if problems:
        raise InputError(problems)
