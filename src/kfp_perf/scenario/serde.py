"""Reading scenario files: all errors of a step at once, each with its path and the allowed values."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from kfp_perf.errors import InputError, Problem
from kfp_perf.scenario.documents import parse_json, read_text, step
from kfp_perf.scenario.enums import EnumSerDe
from kfp_perf.scenario.model import FileHead, ScenarioFile, TestScenario
from kfp_perf.scenario.overrides import resolve
from kfp_perf.scenario.positions import located, position_in, positions_of
from kfp_perf.scenario.rules import LOAD_FIELDS, suits
from kfp_perf.scenario.schema import json_schema
from kfp_perf.scenario.wording import kind_of, problems_of, unknown_field

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from kfp_perf.errors import Position
    from kfp_perf.scenario.conditions import Conditions

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
"""The most scenarios of one file: each has its own thread."""

SCENARIO_FILE_KIND = "scenario file: JSON with a list of scenarios"


class JsonDeserializationUtils:
    """Reads JSON files into pydantic models."""

    @staticmethod
    def parse_scenario_file(
        path: str | Path,
        label: str = "",
        *,
        scenario_type: type[TestScenario] = TestScenario,
        extra_modes: Collection[str] = (),
        overrides: Iterable[str] = (),
        environment: Mapping[str, str] = os.environ,
    ) -> ParsedFile:
        """Return the contents of a scenario file, valid or not; `label` names it in messages (default: its path).

        `extra_modes` are the modes that plug-ins add; `overrides` are set in the file, and `environment` gives its
        variables (see `scenario.overrides`). Raises InputError where it is not a scenario file at all, and for
        variables and overrides that do not fit.
        """
        label = label or str(path)
        source = read_text(Path(path), SCENARIO_FILE_KIND)
        resolved = resolve(source, label, overrides, environment)
        parsed = parse_scenarios(resolved.text, label, scenario_type=scenario_type, extra_modes=extra_modes)
        parsed.changes = resolved.changes
        parsed.positions = {
            path: position
            for path, position in positions_of(source).items()
            if path not in resolved.overridden
        }
        return parsed

    @staticmethod
    def get_list_from_file(
        path: str | Path, item_type: type[ModelT], *, extra_modes: Collection[str] = ()
    ) -> list[ModelT]:
        """Return the items of a file: a JSON list of them, or for TestScenario the object form too.

        Raises InputError with every problem of the file.
        """
        label = str(path)
        if issubclass(item_type, TestScenario):
            parsed = JsonDeserializationUtils.parse_scenario_file(
                path, scenario_type=item_type, extra_modes=extra_modes
            )
            _raise_if_any(parsed.located(parsed.problems))
            return [scenario for scenario in parsed.scenarios.values() if isinstance(scenario, item_type)]
        text = read_text(Path(path), "JSON file")
        value, problems = parse_json(text, label)
        if not isinstance(value, list):
            raise InputError(Problem(label, f"must be a list, got {kind_of(value)}"))
        items = []
        for index, raw in enumerate(value):
            try:
                items.append(item_type.model_validate(raw))
            except ValidationError as error:
                problems += problems_of(error, item_type, partial(_path, f"{label}: $[{index}]"))
        _raise_if_any(list(located(problems, positions_of(text), label)))
        return items


def read_scenario_file(path: str | Path, *, extra_modes: Collection[str] = ()) -> ScenarioFile:
    """Return the scenarios of a file, with its settings for all of them.

    `extra_modes` are the modes that plug-ins add. Raises InputError with every problem of the file.
    """
    parsed = JsonDeserializationUtils.parse_scenario_file(path, extra_modes=extra_modes)
    _raise_if_any(parsed.located(parsed.problems))
    return ScenarioFile.model_construct(
        name=parsed.name,
        defaults=parsed.defaults,
        thresholds=parsed.thresholds,
        primary=parsed.primary,
        scenarios=tuple(parsed.scenarios.values()),
    )


@dataclass(slots=True)
class ParsedFile:
    """The valid parts of a scenario file, and its problems.

    `label` names the file in messages, `text` is its content with variables and overrides applied, `changes` lists
    these; `positions` are the paths in the file as it was read, without those that `--set` gave a value.
    `scenarios` are the valid ones by their index.
    """

    label: str
    text: str = ""
    name: str | None = None
    defaults: dict[str, Any] = field(default_factory=dict)
    thresholds: dict[str, Conditions] = field(default_factory=dict)
    primary: tuple[str, ...] = ()
    scenarios: dict[int, TestScenario] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    changes: tuple[str, ...] = ()
    positions: Mapping[str, Position] = field(default_factory=dict)
    _root: str = "$"
    _own: dict[int, Mapping[str, Any]] = field(default_factory=dict)

    def where(self, index: int, loc: tuple[int | str, ...]) -> str:
        """Return the place of a value of a scenario: in the scenario itself, or in the defaults if it is theirs."""
        from_defaults = bool(loc) and loc[0] in self.defaults and loc[0] not in self._own.get(index, ())
        return self.place("$.defaults" if from_defaults else f"{self._root}[{index}]", loc)

    def place(self, root: str, loc: tuple[int | str, ...]) -> str:
        """Return the file and the path in it."""
        return f"{self.label}: {_path(root, loc)}"

    def position(self, where: str) -> Position | None:
        """Return the line and column of a place in the file, as `where` and `place` write it."""
        return position_in(self.positions, where, self.label)

    def located(self, problems: Iterable[Problem]) -> list[Problem]:
        """Return the problems, those of the file with their lines and columns."""
        return list(located(problems, self.positions, self.label))

    def complain(self, problems: Iterable[Problem]) -> None:
        """Add problems, each once: a wrong default would be reported for every scenario otherwise."""
        self.problems = list(dict.fromkeys([*self.problems, *problems]))


def parse_scenarios(
    text: str,
    label: str,
    *,
    scenario_type: type[TestScenario] = TestScenario,
    extra_modes: Collection[str] = (),
) -> ParsedFile:
    """Return the valid parts of a scenario file's text, and its problems. Raises InputError if it has neither."""
    value, problems = parse_json(text, label)
    parsed = ParsedFile(label, text, problems=problems)
    spoilt = {problem.where for problem in problems}
    raw_scenarios: list[Any] | None
    if isinstance(value, list):
        raw_scenarios = value
    elif isinstance(value, dict):
        parsed._root = "$.scenarios"
        raw_scenarios = _read_object(value, parsed)
    else:
        remedy = "write a list of scenarios, or an object with the key `scenarios`"
        raise InputError(Problem(f"{label}: $", f"must be a list or an object, got {kind_of(value)}", remedy))
    if raw_scenarios is None:
        return parsed
    if not 1 <= len(raw_scenarios) <= MAX_SCENARIOS:
        what, remedy = f"holds {len(raw_scenarios) or 'no'} scenarios", f"write 1 to {MAX_SCENARIOS} of them"
        parsed.complain([Problem(parsed.place(parsed._root, ()), what, remedy)])
        return parsed
    for index, raw in enumerate(raw_scenarios):
        if not isinstance(raw, dict):
            what, remedy = f"must be an object, got {kind_of(raw)}", 'write {"mode": ..., "runTime": ...}'
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
            faults = problems_of(error, scenario_type, partial(parsed.where, index))
            parsed.complain(fault for fault in faults if fault.where not in spoilt)
    return parsed


def _read_object(value: dict[str, Any], parsed: ParsedFile) -> list[Any] | None:
    """Read the object form except its scenarios; return those unparsed, or None if there are none."""
    try:
        head = FileHead.model_validate(
            {key: item for key, item in value.items() if key != "scenarios"}, by_alias=True, by_name=False
        )
        parsed.name, parsed.defaults = head.name, head.defaults
        parsed.thresholds, parsed.primary = head.thresholds, head.primary
    except ValidationError as error:
        alone = "mode" in value or "runTime" in value
        hint = "this looks like one scenario: put it into a list, [{...}]" if alone else ""
        parsed.complain(problems_of(error, ScenarioFile, partial(parsed.place, "$"), hint))
        defaults = value.get("defaults")
        parsed.defaults = dict(defaults) if isinstance(defaults, dict) else {}
    known = {info.alias for info in TestScenario.model_fields.values()}
    for name in sorted(parsed.defaults.keys() - known):
        parsed.complain([Problem(parsed.place("$.defaults", (name,)), *unknown_field(name, TestScenario))])
    parsed.defaults = {name: item for name, item in parsed.defaults.items() if name in known}
    scenarios = value.get("scenarios")
    if isinstance(scenarios, list):
        return scenarios
    what = "is missing" if "scenarios" not in value else f"must be a list, got {kind_of(scenarios)}"
    parsed.complain([Problem(parsed.place("$", ("scenarios",)), what, "write a list of scenarios")])
    return None


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


def _path(root: str, loc: tuple[int | str, ...]) -> str:
    path = root
    for part in loc:
        path = step(path, part)
    return path


def _raise_if_any(problems: list[Problem]) -> None:
    if problems:
        raise InputError(problems)
