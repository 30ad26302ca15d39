"""The expressions of the IR: trigger conditions and parameter selectors, in CEL.

Follows backend/src/v2/expression of kubeflow/pipelines: a condition sees `inputs` of the executor's input, a
selector the fields of a protobuf value, `string_value` always its JSON; both have `parseJson`. As in Go, where
every number of a parameter is a double, numbers of different types are compared by value.

cel-python is loaded at the first expression, which takes some 0.2 s: the command does so before it is ready.
"""

from __future__ import annotations

import json
import math
import operator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_LENGTH = 20_000
"""How long an expression may be: beyond that its parser is not worth waiting for."""
_REMEMBERED = 4096


class CelError(ValueError):
    """An expression that cannot be parsed, or evaluated."""


class Cel:
    """Compiles expressions, and remembers them and their results."""

    def __init__(self) -> None:
        self._language: _Language | None = None
        self._programs: dict[str, Any] = {}
        self._results: dict[tuple[str, str], Any] = {}

    def condition(self, expression: str, parameters: dict[str, Any]) -> bool:
        """Evaluate a trigger condition over a task's input parameters.

        Raises:
            CelError: it cannot be evaluated, or gives no boolean.

        """
        result = self._evaluate(expression, {"inputs": {"parameter_values": parameters, "artifacts": {}}})
        if not isinstance(result, bool):
            raise CelError(f"evaluation error: return type is not bool, got {result!r}")
        return result

    def select(self, expression: str, value: Any) -> Any:
        """Evaluate a parameterExpressionSelector over a value.

        Raises:
            CelError: it cannot be evaluated.

        """
        return self._evaluate(expression, _value_fields(value))

    def _evaluate(self, expression: str, variables: dict[str, Any]) -> Any:
        key = (expression, json.dumps(variables, sort_keys=True))
        if key not in self._results:
            if len(self._results) >= _REMEMBERED:
                del self._results[next(iter(self._results))]
            self._results[key] = self._fresh(expression, variables)
        return self._results[key]

    def _fresh(self, expression: str, variables: dict[str, Any]) -> Any:
        if len(expression) > MAX_LENGTH:
            raise CelError(f"the expression is longer than {MAX_LENGTH} characters")
        if self._language is None:
            self._language = _Language()
        try:
            program = self._programs.get(expression)
            if program is None:
                if len(self._programs) >= _REMEMBERED:
                    del self._programs[next(iter(self._programs))]
                program = self._programs[expression] = self._language.compile(expression)
            return self._language.run(program, variables)
        except Exception as fault:  # noqa: BLE001  what cel-python raises on bad input is not documented
            reason = " ".join(str(fault).split())[:300]
            raise CelError(f"evaluation error: {reason or type(fault).__name__}") from None


def _value_fields(value: Any) -> dict[str, Any]:
    """Return the fields of a protobuf Value as a selector reads them."""
    fields: dict[str, Any] = {"string_value": as_text(value)}
    for kind, name in (
        (bool, "bool_value"),
        ((int, float), "number_value"),
        (list, "list_value"),
        (dict, "struct_value"),
    ):
        if isinstance(value, kind):
            fields[name] = value
            break
    return fields


def as_text(value: Any) -> str:
    """Return a parameter's value as text: a string as it is, null as empty, all else as JSON (PbValueToText)."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, float) and math.isfinite(value) and value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return json.dumps(value, separators=(",", ":"))


class _Language:
    """cel-python with Go's view of numbers."""

    def __init__(self) -> None:
        import celpy
        from celpy import celtypes, evaluation

        self._types = celtypes
        self._environment = celpy.Environment()
        self._fault = evaluation.CELEvalError
        base = evaluation.base_functions
        ordered = {
            symbol: self._compare(compare, base[symbol])
            for symbol, compare in (
                ("_<_", operator.lt),
                ("_<=_", operator.le),
                ("_>_", operator.gt),
                ("_>=_", operator.ge),
            )
        }
        self._functions = {
            **ordered,
            "_==_": self._equal(operator.eq),
            "_!=_": self._equal(operator.ne),
            "parseJson": self._parse_json,
        }

    def compile(self, expression: str) -> Any:
        return self._environment.program(self._environment.compile(expression), functions=self._functions)

    def run(self, program: Any, variables: dict[str, Any]) -> Any:
        return self._from_cel(
            program.evaluate({name: self._to_cel(each) for name, each in variables.items()})
        )

    def _compare(self, compare: Callable[[Any, Any], bool], otherwise: Any) -> Callable[[Any, Any], Any]:
        """Make an order of numbers by value; other types are compared by cel-python."""

        def compared(left: Any, right: Any) -> Any:
            if self._is_number(left) and self._is_number(right):
                return self._types.BoolType(compare(float(left), float(right)))
            return otherwise(left, right)

        return compared

    def _equal(self, compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], Any]:
        """Make an equality of all types: of numbers by value, of different types false."""

        def compared(left: Any, right: Any) -> Any:
            for side in (left, right):
                if isinstance(side, self._fault):
                    return side
            return self._types.BoolType(compare(self._comparable(left), self._comparable(right)))

        return compared

    def _is_number(self, value: Any) -> bool:
        types = self._types
        return isinstance(value, (types.IntType, types.UintType, types.DoubleType))

    def _comparable(self, value: Any) -> Any:
        """Return a value that Python compares as CEL does: a boolean is no number."""
        types = self._types
        if self._is_number(value):
            return float(value)
        if isinstance(value, types.ListType):
            return [self._comparable(each) for each in value]
        if isinstance(value, types.MapType):
            return {str(key): self._comparable(each) for key, each in value.items()}
        return type(value), value

    def _parse_json(self, text: Any) -> Any:
        return text if isinstance(text, self._fault) else self._to_cel(json.loads(str(text)))

    def _to_cel(self, value: Any) -> Any:
        types = self._types
        if isinstance(value, bool):
            return types.BoolType(value)
        if isinstance(value, (int, float)):
            return types.DoubleType(value)
        if isinstance(value, str):
            return types.StringType(value)
        if isinstance(value, list):
            return types.ListType([self._to_cel(each) for each in value])
        if isinstance(value, dict):
            return types.MapType({types.StringType(key): self._to_cel(each) for key, each in value.items()})
        return None

    def _from_cel(self, value: Any) -> Any:
        types = self._types
        if isinstance(value, types.BoolType):
            return bool(value)
        if isinstance(value, (types.IntType, types.UintType)):
            return int(value)
        if isinstance(value, types.DoubleType):
            return float(value)
        if isinstance(value, types.StringType):
            return str(value)
        if isinstance(value, types.ListType):
            return [self._from_cel(each) for each in value]
        if isinstance(value, types.MapType):
            return {str(key): self._from_cel(each) for key, each in value.items()}
        if value is None:
            return None
        raise CelError(f"failed to convert result to protobuf.Value: unsupported type {type(value).__name__}")
