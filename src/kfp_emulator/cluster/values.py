"""Outputs that no container computes: made up from the seed, so that conditions and loops find what they look for.

A task's output is followed through the pipeline to the conditions, loops and selectors that read it. From the
literals that it is compared with, the fields that are selected, and its type comes a value that sends some runs
one way and some the other.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_emulator.cluster.timing import Draws
    from kfp_emulator.pipelines.plans import ComponentPlan, DagPlan, Plan, TaskPlan

_LITERAL = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|-?[0-9]+(?:\.[0-9]+)?|true|false"
_SUBJECT = r"inputs\.parameter_values\[(?:'(?P<{0}>[^']*)'|\"(?P<{1}>[^\"]*)\")\]"
_COMPARED = re.compile(
    r"(?P<cast>int|double|float)?\(?\s*" + _SUBJECT.format("a", "b") + r"\s*\)?\s*(?:==|!=|<=|>=|<|>)\s*"
    rf"(?P<literal>{_LITERAL})"
)
_COMPARED_FROM_LEFT = re.compile(
    rf"(?P<literal>{_LITERAL})\s*(?:==|!=|<=|>=|<|>)\s*(?P<cast>int|double|float)?\(?\s*"
    + _SUBJECT.format("a", "b")
)
_FIELD = re.compile(r"parseJson\(string_value\)\[(?:'([^']*)'|\"([^\"]*)\")\]")
_MAX_WALK = 2000
_LONGEST_LIST = 3


@dataclass(slots=True)
class _Hints:
    """What is known of a value: its type for its readers, literals that it is compared with, items, fields.

    `allowed` are the only values that a reader takes.
    """

    type: str = ""
    allowed: tuple[Any, ...] = ()
    literals: list[Any] = field(default_factory=list)
    numeric: bool = False
    items: _Hints | None = None
    fields: dict[str, _Hints] = field(default_factory=dict)


def make_output(plan: Plan, dag: ComponentPlan, task: TaskPlan, key: str, draws: Draws, path: str) -> Any:
    """Return a value for the output `key` of a container task in the DAG of component `dag`.

    The same draws and path give the same value.
    """
    known = (dag.name, task.name, key)
    hints = plan.made.get(known)
    if hints is None:
        hints = plan.made[known] = _Walk().output(plan, dag, task, key)
    return _value(hints, task.component.outputs[key], draws, f"{path}:{key}")


class _Walk:
    """Follows one output to all who read it."""

    def __init__(self) -> None:
        self._steps = 0

    def output(self, plan: Plan, dag: ComponentPlan, task: TaskPlan, key: str) -> _Hints:
        hints = _Hints()
        self._flow(plan, dag, task.name, key, hints, frozenset())
        return hints

    def _flow(
        self, plan: Plan, holder: ComponentPlan, task: str, key: str, hints: _Hints, seen: frozenset[Any]
    ) -> None:
        """Add what the readers of a task's output in the DAG of `holder`, and beyond it, say."""
        self._steps += 1
        place = (holder.name, task, key)
        if holder.dag is None or place in seen or self._steps > _MAX_WALK:
            return
        seen |= {place}
        for reader in _all_tasks(holder.dag):
            for given in reader.inputs:
                if given.kind == "task" and given.source == task and given.key == key:
                    self._read(reader, given.name, _selected(hints, given.selector))
        for output, sources in holder.dag.outputs.items():
            if (task, key) in sources:
                for outer in plan.components.values():
                    if outer.dag is not None:
                        for user in _all_tasks(outer.dag):
                            if user.component is holder and user.loop is None:
                                self._flow(plan, outer, user.name, output, hints, seen)

    def _read(self, task: TaskPlan, name: str, hints: _Hints) -> None:
        """Add what a task, and the tasks inside it, say of its input."""
        self._steps += 1
        if self._steps > _MAX_WALK:
            return
        _typed(task, name, hints)
        _compared(task.condition, name, hints)
        if task.loop is not None and task.loop.items_input == name:
            hints.items = hints.items or _Hints()
            _typed(task, task.loop.item_input, hints.items)
            self._inside(task, task.loop.item_input, hints.items)
        self._inside(task, name, hints)

    def _inside(self, task: TaskPlan, name: str, hints: _Hints) -> None:
        if task.component.dag is None:
            return
        for reader in _all_tasks(task.component.dag):
            for given in reader.inputs:
                if given.kind == "component" and given.source == name:
                    self._read(reader, given.name, _selected(hints, given.selector))


def _all_tasks(dag: DagPlan) -> tuple[TaskPlan, ...]:
    return (*dag.tasks, *dag.exit_tasks)


def _selected(hints: _Hints, selector: str) -> _Hints:
    """Return the hints of what a selector takes out of a value."""
    for single, double in _FIELD.findall(selector):
        hints = hints.fields.setdefault(single or double, _Hints())
    return hints


def _typed(task: TaskPlan, name: str, hints: _Hints) -> None:
    """Note the type and the values that a reader needs; STRING is no hint: drivers convert any value to it."""
    definition = task.component.inputs.get(name)
    if definition is not None and definition.literals:
        hints.allowed = definition.literals
    if definition is not None and definition.type in _MAKERS:
        hints.type = definition.type


def _compared(condition: str, name: str, hints: _Hints) -> None:
    if not condition or len(condition) > 20_000:
        return
    for pattern in (_COMPARED, _COMPARED_FROM_LEFT):
        for match in pattern.finditer(condition):
            if (match["a"] or match["b"]) == name:
                literal = _literal(match["literal"])
                hints.numeric |= match["cast"] is not None
                if literal not in hints.literals:
                    hints.literals.append(literal)


def _literal(text: str) -> Any:
    if text[0] in "'\"":
        return text[1:-1]
    if text in {"true", "false"}:
        return text == "true"
    number = float(text)
    return int(number) if number == int(number) else number


_WORDS = ("alpha", "beta", "gamma", "delta")


def _value(hints: _Hints, type_: str, draws: Draws, purpose: str) -> Any:
    if hints.allowed:
        return hints.allowed[draws.below(purpose, len(hints.allowed))]
    return _MAKERS.get(type_, _string)(hints, draws, purpose)


def _boolean(hints: _Hints, draws: Draws, purpose: str) -> bool:
    return bool(draws.below(purpose, 2))


def _integer(hints: _Hints, draws: Draws, purpose: str) -> int:
    numbers = [
        each for each in hints.literals if isinstance(each, (int, float)) and not isinstance(each, bool)
    ]
    if not numbers:
        return draws.below(purpose, 10)
    around = int(numbers[draws.below(f"{purpose}:which", len(numbers))])
    return around + draws.below(purpose, 3) - 1


def _double(hints: _Hints, draws: Draws, purpose: str) -> float:
    return _integer(hints, draws, purpose) + round(draws.uniform(f"{purpose}:part"), 3)


def _list(hints: _Hints, draws: Draws, purpose: str) -> list[Any]:
    count = 1 + draws.below(f"{purpose}:count", _LONGEST_LIST)
    return [_any(hints.items or _Hints(), draws, f"{purpose}[{index}]") for index in range(count)]


def _struct(hints: _Hints, draws: Draws, purpose: str) -> dict[str, Any]:
    if not hints.fields:
        return {"name": _string(_Hints(), draws, purpose)}
    return {name: _any(each, draws, f"{purpose}.{name}") for name, each in hints.fields.items()}


def _any(hints: _Hints, draws: Draws, purpose: str) -> Any:
    """Return a value whose type is known only from how it is read."""
    if hints.type or hints.allowed:
        return _value(hints, hints.type, draws, purpose)
    if hints.fields:
        return _struct(hints, draws, purpose)
    if hints.items is not None:
        return _list(hints, draws, purpose)
    if hints.literals and all(isinstance(each, bool) for each in hints.literals):
        return _boolean(hints, draws, purpose)
    return _string(hints, draws, purpose)


def _string(hints: _Hints, draws: Draws, purpose: str) -> str:
    if hints.fields or hints.items is not None:
        return json.dumps(_any(hints, draws, purpose))
    if hints.numeric or any(isinstance(each, (int, float)) for each in hints.literals):
        return str(_integer(hints, draws, purpose))
    words = [each for each in hints.literals if isinstance(each, str)]
    if not words:
        return _WORDS[draws.below(purpose, len(_WORDS))]
    if len(words) == 1:
        words = [words[0], f"not-{words[0]}"]
    return words[draws.below(purpose, len(words))]


_MAKERS: dict[str, Callable[[_Hints, Draws, str], Any]] = {
    "BOOLEAN": _boolean,
    "NUMBER_INTEGER": _integer,
    "NUMBER_DOUBLE": _double,
    "LIST": _list,
    "STRUCT": _struct,
}
"""How to make a value of a type; all others are texts."""
