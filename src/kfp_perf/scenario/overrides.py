"""Values from outside a scenario file: environment variables that it refers to, and `--set`.

In any text of the file `${NAME}` is the variable, `${NAME:-default}` the variable or, where it is unset or
empty, the default; `$${` is `${` itself. `--set scenarios[0].numTimes=20` sets one field, an empty value
removes it. A field that accepts only text gets the text; elsewhere a value that is valid JSON is parsed: a number,
true, a list.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from kfp_perf.errors import InputError, Problem
from kfp_perf.scenario.documents import parse_json, step
from kfp_perf.scenario.positions import located, positions_of
from kfp_perf.scenario.schema import resolved_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_REFERENCE = re.compile(
    r"\$(?P<escaped>\$(?=\{)) | \$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-[^{}]*)?\} | \$\{",
    re.VERBOSE,
)
_PART = re.compile(
    r"""\.?(?P<key>[A-Za-z_$][A-Za-z0-9_$-]*)
      | \[(?P<index>[0-9]{1,4})\]
      | \[(?P<quoted>"(?:[^"\\]|\\.)*")\]""",
    re.VERBOSE,
)
_SET_REMEDY = "write --set 'scenarios[0].numTimes=20'"

#: Names of variables whose values must not get into results.
_SECRET = re.compile(
    r"(^|_)(PASSWORD|PASSWD|PASSPHRASE|SECRETS?|TOKEN|CREDENTIALS?|COOKIE|(API|ACCESS|PRIVATE)_?KEY)(_|$)"
    r"|^HTTPS?_PROXY$",
    re.IGNORECASE,
)

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Resolved:
    """A scenario file with its variables and overrides applied.

    `text` is JSON, unchanged where there are none; `changes` describes each changed value for the user: its path
    and its new value. `overridden` are the paths that `--set` gave a value.
    """

    text: str
    changes: tuple[str, ...] = ()
    overridden: frozenset[str] = frozenset()


def resolve(text: str, label: str, overrides: Iterable[str], environment: Mapping[str, str]) -> Resolved:
    """Put variables and overrides into a scenario file's text. `label` names the file in messages.

    Raises `InputError` with every variable that is not set and every override that does not fit.
    """
    overrides = tuple(overrides)
    if "${" not in text and not overrides:
        return Resolved(text)
    value, problems = parse_json(text, label)
    if problems:
        return Resolved(text)  # the parser reports the problem
    work = _Work(label, environment)
    value = work.substituted(value, ())
    for override in overrides:
        value = work.overridden(value, override)
    if work.problems:
        raise InputError(located(work.problems, positions_of(text), label))
    changed = json.dumps(value, indent=2, ensure_ascii=False)
    return Resolved(changed, tuple(work.changes), frozenset(work.set_paths))


class _Work:
    """Collects changes and problems on the way through a document."""

    def __init__(self, label: str, environment: Mapping[str, str]) -> None:
        self.changes: list[str] = []
        self.problems: list[Problem] = []
        self.set_paths: list[str] = []
        self._label = label
        self._environment = environment

    def substituted(self, value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            return {key: self.substituted(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.substituted(item, (*path, index)) for index, item in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value
        text = _REFERENCE.sub(lambda found: self._replacement(found, path), value)
        used = any(found["name"] for found in _REFERENCE.finditer(value))
        typed = _typed(text, path) if used else text
        self.changes.append(f"{_format_path(path)} = {_json(typed)}, from {_json(value)}")
        return typed

    def _replacement(self, found: re.Match[str], path: Path) -> str:
        name, default = found["name"], found["default"]
        if found["escaped"]:
            return "$"  # of $${, which becomes ${
        where = f"{self._label}: {_format_path(path)}"
        if not name:
            remedy = "write ${NAME} or ${NAME:-default}; $${ is the text ${ itself"
            self.problems.append(Problem(where, "holds ${ without the name of a variable and }", remedy))
            return ""
        if _SECRET.search(name):
            remedy = (
                "a scenario file is recorded in the result, and parameters in the run: let the pipeline read a "
                "Kubernetes secret; kfp-perf's own credentials go with requests by themselves"
            )
            self.problems.append(Problem(where, f"uses {name}, which is a secret", remedy))
            return ""
        value = self._environment.get(name, "")
        if value or (default is None and name in self._environment):
            return value
        if default is not None:
            return default.removeprefix(":-")
        remedy = f"set it, or write ${{{name}:-default}}; $${{{name}}} is the text itself"
        self.problems.append(Problem(where, f"needs the variable {name}, which is not set", remedy))
        return ""

    def overridden(self, value: Any, override: str) -> Any:
        """Set one field; an invalid override is kept as a problem."""
        flag = f"--set {override}"
        path, text = _parse(override)
        if path is None:
            self.problems.append(Problem(flag, "is not of the form PATH=VALUE", _SET_REMEDY))
            return value
        if isinstance(value, list) and path[0] == "scenarios":
            path = path[1:]
        if not path:
            self.problems.append(Problem(flag, "would replace all scenarios", _SET_REMEDY))
            return value
        holder = value
        for depth, (part, following) in enumerate(pairwise(path)):
            if isinstance(holder, dict) and isinstance(part, str) and part not in holder:
                holder[part] = [] if isinstance(following, int) else {}
            if problem := _misfit(holder, path[: depth + 1], flag):
                self.problems.append(problem)
                return value
            holder = holder[part]
        if problem := _misfit(holder, path, flag, last=True):
            self.problems.append(problem)
            return value
        if not text:
            if isinstance(holder, dict):
                holder.pop(path[-1], None)
                self.changes.append(f"{_format_path(path)} is removed, by --set")
            else:
                self.problems.append(Problem(flag, "removes an item of a list", "set the whole list as JSON"))
            return value
        holder[path[-1]] = _typed(text, path)
        self.set_paths.append(_format_path(path))
        self.changes.append(f"{self.set_paths[-1]} = {_json(holder[path[-1]])}, by --set")
        return value


def _misfit(holder: Any, path: Path, flag: str, *, last: bool = False) -> Problem | None:
    """Return why the last part of a path does not lead into `holder`."""
    part, where = path[-1], _format_path(path[:-1])
    if isinstance(part, int):
        if not isinstance(holder, list):
            return Problem(flag, f"{where} is not a list", _SET_REMEDY)
        if part >= len(holder):
            return Problem(flag, f"{where} has {len(holder)} items, counted from 0", _SET_REMEDY)
    elif not isinstance(holder, dict):
        return Problem(flag, f"{where} is not an object", _SET_REMEDY)
    elif not last and not isinstance(holder[part], dict | list):
        return Problem(flag, f"{_format_path(path)} is neither an object nor a list", _SET_REMEDY)
    return None


def _parse(override: str) -> tuple[Path | None, str]:
    parts: list[str | int] = []
    position = 0
    while found := _PART.match(override, position):
        if found["index"]:
            parts.append(int(found["index"]))
        else:
            parts.append(json.loads(found["quoted"]) if found["quoted"] else found["key"])
        position = found.end()
    if not parts or override[position : position + 1] != "=":
        return None, ""
    return tuple(parts), override[position + 1 :]


def _typed(text: str, path: Path) -> Any:
    """Return a value as the field at the path takes it."""
    if _takes_only_text(path):
        return text
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if not isinstance(value, float) or (abs(value) != float("inf") and value == value) else text


def _takes_only_text(path: Path) -> bool:
    fields = [part for part in path if isinstance(part, str) and part not in {"scenarios", "defaults"}]
    if not fields or fields[0] in {"thresholds", "$schema"}:
        return bool(fields) and fields[-1] != "abortOnFail"
    definitions = resolved_schema()["$defs"]
    properties = definitions["TestScenario"]["properties"]
    if len(fields) > 1 or fields[0] not in properties:
        return fields == ["name"]
    kinds = _kinds(properties[fields[0]], definitions)
    return kinds <= {"string", "null"} and "string" in kinds


def _kinds(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> set[str]:
    """Return the JSON types that a schema allows."""
    if "$ref" in schema:
        return _kinds(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    kinds = {schema["type"]} if "type" in schema else set()
    for one in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        kinds |= _kinds(one, definitions)
    return kinds


def _format_path(path: Path) -> str:
    text = "$"
    for part in path:
        text = step(text, part)
    return text


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
