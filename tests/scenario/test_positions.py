"""Lines and columns of the values in a scenario file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_perf.errors import InputError, Position
from kfp_perf.scenario.documents import step
from kfp_perf.scenario.positions import position_in, positions_of
from kfp_perf.scenario.serde import read_scenario_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEXT = """\
{
  "thresholds": {"run.duration.p95": ["< 90s",
    "> 1s"]},
  "a \\"b\\\\": [[], {}, [1, {"é\\n{,:[": null}]],
  "scenarios": [
    {"mode": "X"},
    {"runTime" : -1, "x": true, "runTime": 2}
  ]
}
"""


@pytest.mark.parametrize(
    ("path", "position"),
    [
        ("$", (1, 1)),
        ("$.thresholds", (2, 3)),
        ('$.thresholds["run.duration.p95"]', (2, 18)),
        ('$.thresholds["run.duration.p95"][0]', (2, 39)),
        ('$.thresholds["run.duration.p95"][1]', (3, 5)),
        (step("$", 'a "b\\'), (4, 3)),
        (step("$", 'a "b\\') + "[2][1]", (4, 27)),
        (step(step("$", 'a "b\\') + "[2][1]", "é\n{,:["), (4, 28)),
        ("$.scenarios[0].mode", (6, 6)),
        ("$.scenarios[1]", (7, 5)),
        ("$.scenarios[1].runTime", (7, 33)),
    ],
)
def test_each_value_has_a_line_and_a_column(path: str, position: tuple[int, int]) -> None:
    assert positions_of(TEXT)[path] == position


@pytest.mark.parametrize(
    ("where", "position"),
    [
        ("a.json: $.scenarios[0].runTime", (6, 5)),
        ("a.json: $.scenarios[0].params.message", (6, 5)),
        ("a.json: $.scenarios[1].x: bad.yaml", (7, 22)),
        ("a.json", None),
        ("b.json: $.scenarios", None),
        ("--set scenarios[0].x=1", None),
    ],
)
def test_what_is_missing_is_where_it_should_be(where: str, position: tuple[int, int] | None) -> None:
    assert position_in(positions_of(TEXT), where, "a.json") == position


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_a_value_is_found_at_its_position(value: Any, indent: int | str | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    lines, positions = text.split("\n"), positions_of(text)
    paths = dict(walk(value, "$", None))
    assert positions.keys() == paths.keys()
    for path, (key, one) in paths.items():
        line, column = positions[path]
        rest = "\n".join([lines[line - 1][column - 1 :], *lines[line:]])
        found, _ = json.JSONDecoder().raw_decode(rest)
        assert found == (one if key is None else key)


def walk(value: Any, path: str, key: str | None) -> Iterator[tuple[str, tuple[str | None, Any]]]:
    yield path, (key, value)
    if isinstance(value, dict):
        for name, one in value.items():
            yield from walk(one, step(path, name), name)
    elif isinstance(value, list):
        for place, one in enumerate(value):
            yield from walk(one, step(path, place), None)


def test_every_problem_of_a_file_has_its_position(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('[\n  {"mode": "RANDOM_GETS",\n   "runtime": 1},\n  {"mode": "NONE", "runTime": 1}\n]\n')
    with pytest.raises(InputError) as caught:
        read_scenario_file(path)
    lines = str(caught.value).splitlines()
    assert [one.position for one in caught.value.problems] == [Position(3, 4), Position(4, 4)]
    assert lines[0] == f"{path}:3:4: $[0].runtime: is not a known field"
