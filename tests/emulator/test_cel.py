from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from kfp_emulator.cluster.cel import Cel, CelError, as_text


@pytest.fixture(scope="module")
def cel() -> Cel:
    return Cel()


@pytest.mark.parametrize(
    ("expression", "parameters", "expected"),
    [
        ("inputs.parameter_values['x'] == 'heads'", {"x": "heads"}, True),
        ("!(inputs.parameter_values['x'] == 'heads')", {"x": "heads"}, False),
        ("inputs.parameter_values['x'] == 1", {"x": 1}, True),
        ("inputs.parameter_values['x'] == 1", {"x": 1.0}, True),
        ("inputs.parameter_values['x'] == 1.5", {"x": 1.5}, True),
        ("inputs.parameter_values['x'] != 1", {"x": 2}, True),
        ("inputs.parameter_values['x'] > 0.5", {"x": 1}, True),
        ("int(inputs.parameter_values['x']) > 5", {"x": "7"}, True),
        ("int(inputs.parameter_values['x']) > 5.5", {"x": "5"}, False),
        ("int(inputs.parameter_values['x']) <= 5", {"x": 5}, True),
        ("int(inputs.parameter_values['a']) >= int(inputs.parameter_values['b'])", {"a": 3, "b": 2.0}, True),
        ("inputs.parameter_values['x'] == true", {"x": True}, True),
        ("inputs.parameter_values['x'] == true", {"x": False}, False),
        ("inputs.parameter_values['x'] == 'a'", {"x": 1}, False),
        ("inputs.parameter_values['x'] != 'a'", {"x": 1}, True),
        ("inputs.parameter_values['x'] == ''", {"x": None}, False),
        ("inputs.parameter_values['x'] == 'a' && inputs.parameter_values['y'] < 3", {"x": "a", "y": 2}, True),
        (
            "inputs.parameter_values['x'] == 'a' || inputs.parameter_values['y'] < 3",
            {"x": "b", "y": 3},
            False,
        ),
        ("inputs.parameter_values['x']['k'] == 2", {"x": {"k": 2}}, True),
        ("parseJson(inputs.parameter_values['x'])['k'] == 2", {"x": '{"k": 2}'}, True),
        ("inputs.parameter_values['x'] == [1, 2]", {"x": [1, 2]}, True),
    ],
)
def test_conditions(cel: Cel, expression: str, parameters: dict[str, Any], expected: bool) -> None:
    assert cel.condition(expression, parameters) is expected


@pytest.mark.parametrize(
    ("expression", "value", "expected"),
    [
        ('parseJson(string_value)["A_a"]', {"A_a": "heads"}, "heads"),
        ('parseJson(string_value)["B_b"]', '{"B_b": ["1", "2"]}', ["1", "2"]),
        ('parseJson(string_value)["n"]', {"n": 3}, 3.0),
        ('parseJson(string_value)["n"]["m"]', {"n": {"m": None}}, None),
        ("string_value", 3.0, "3"),
        ("number_value", 3, 3.0),
        ("bool_value", True, True),
        ("list_value[1]", ["a", "b"], "b"),
        ("struct_value.a", {"a": {"b": True}}, {"b": True}),
    ],
)
def test_selectors(cel: Cel, expression: str, value: Any, expected: Any) -> None:
    assert cel.select(expression, value) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "(",
        "inputs.parameter_values['missing'] == 1",
        "int(inputs.parameter_values['x']) > 1",
        "inputs.parameter_values['x']",
        "unknown == 1",
        "nothing(1)",
        "inputs.parameter_values['x'] > 5",
        "1/0 == 1",
        "parseJson(inputs.parameter_values['x']) == 1",
        "a" * 30_000,
    ],
)
def test_what_cannot_be_evaluated(cel: Cel, expression: str) -> None:
    for _ in range(2):
        with pytest.raises(CelError):
            cel.condition(expression, {"x": "text"})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        (None, ""),
        (True, "true"),
        (3, "3"),
        (3.0, "3"),
        (3.5, "3.5"),
        ([1, "a"], '[1,"a"]'),
        ({"a": None}, '{"a":null}'),
    ],
)
def test_every_value_has_a_text(value: Any, text: str) -> None:
    assert as_text(value) == text


def test_cel_is_loaded_only_when_it_is_needed() -> None:
    program = (
        "import sys; import kfp_emulator.cluster.cluster;"
        "from kfp_emulator.cluster.cel import Cel; Cel();"
        "sys.exit('celpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
