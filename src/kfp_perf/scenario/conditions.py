"""The thresholds of a scenario file as written: a condition, an object with one, a list of these, or null."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from kfp_perf.scenario.quantities import TIME_SCHEMA, complaint, format_value, parse_minutes

_REMEDY = (
    'write a condition, "< 90s" or "< 90s over 5m", or an object, {"condition": "<= 5%", "abortOnFail": true}'
)


@dataclass(frozen=True, slots=True)
class GivenThreshold:
    """A condition on a metric, and whether the test ends where it is not kept, but not before `delay_seconds`."""

    condition: str
    abort_on_fail: bool = False
    delay_seconds: float = 0.0

    def as_written(self) -> str | dict[str, Any]:
        """The value in a scenario file that gives this."""
        if not self.abort_on_fail:
            return self.condition
        delay = {"delay": self.delay_seconds / 60.0} if self.delay_seconds else {}
        return {"condition": self.condition, "abortOnFail": True, **delay}


def _parse_one(value: Any) -> GivenThreshold:
    if isinstance(value, GivenThreshold):
        return value
    if isinstance(value, str):
        return GivenThreshold(value)
    if not isinstance(value, dict):
        raise complaint(f"must be a string, an object or a list, got {format_value(value)}", _REMEDY)
    if unknown := sorted(value.keys() - {"condition", "abortOnFail", "delay"}):
        raise complaint(
            f"{format_value(unknown[0])} is not a known field", "allowed: condition, abortOnFail, delay"
        )
    condition, abort_on_fail = value.get("condition"), value.get("abortOnFail", False)
    if not isinstance(condition, str):
        raise complaint("has no condition", _REMEDY)
    if not isinstance(abort_on_fail, bool):
        raise complaint(f"abortOnFail must be true or false, got {format_value(abort_on_fail)}", _REMEDY)
    minutes = parse_minutes(value.get("delay", 0))
    if minutes < 0.0:
        raise complaint(f"the delay must not be negative, got {format_value(value['delay'])}", _REMEDY)
    if minutes and not abort_on_fail:
        raise complaint("has a delay without abortOnFail", "a delay is how long the test is not aborted")
    return GivenThreshold(condition, abort_on_fail, round(minutes * 60.0, 9))


def parse_conditions(value: Any) -> tuple[GivenThreshold, ...] | None:
    """Return the conditions that a value in a scenario file gives; None where it is `null`."""
    if value is None:
        return None
    if not isinstance(value, list | tuple):
        return (_parse_one(value),)
    if not value:
        raise complaint("must not be empty", _REMEDY)
    return tuple(map(_parse_one, value))


def _written(value: tuple[GivenThreshold, ...] | None) -> Any:
    if value is None:
        return None
    found = [one.as_written() for one in value]
    return found[0] if len(found) == 1 else found


_OBJECT = {
    "type": "object",
    "properties": {
        "condition": {
            "type": "string",
            "description": "What must hold of the metric: in the whole test, or in each window of a length.",
            "examples": ["< 90s", "< 90s over 5m"],
        },
        "abortOnFail": {
            "type": "boolean",
            "default": False,
            "description": "Whether the test ends, with clean-up and report, as soon as the condition is not kept.",
        },
        "delay": {
            "anyOf": [{"type": "number", "minimum": 0}, TIME_SCHEMA],
            "default": 0,
            "description": "How long after the start of the load the test is not aborted.",
            "examples": ["2m"],
            "unit": "minutes",
        },
    },
    "required": ["condition"],
    "additionalProperties": False,
}
_ONE = [{"type": "string"}, _OBJECT]

Conditions = Annotated[
    tuple[GivenThreshold, ...] | None,
    PlainValidator(parse_conditions),
    PlainSerializer(_written),
    WithJsonSchema(
        {
            "anyOf": [
                *_ONE,
                {"type": "array", "minItems": 1, "items": {"anyOf": _ONE}},
                {"type": "null"},
            ]
        }
    ),
]
"""The conditions on one metric; None lifts a default threshold."""
