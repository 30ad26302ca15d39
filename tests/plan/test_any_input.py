"""Any file gives a plan or problems that can be printed, never another exception."""

from __future__ import annotations

import copy
import io
import json
import random
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kfp_perf.catalog import PIPELINES
from kfp_perf.config import TestConfig
from kfp_perf.errors import InputError, Problem
from kfp_perf.pipelines.package import read_pipeline
from kfp_perf.plan import make_plan
from kfp_perf.reports.timeline import print_timeline
from kfp_perf.scenario.model import TestMode, TestScenario
from kfp_perf.scenario.workload import OpenLoad, workload_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")
FIELDS = [info.alias or name for name, info in TestScenario.model_fields.items()]
PLAUSIBLE: list[Any] = [
    0, 1, 2, -1, 1.5, 1e-12, 1e9, 10**30, True, None, "", "x", "90s", "1e999/s", "30/min", "0/s", "5s", "1ms",
    "0.00001/h", "hello.yaml", "../x", "nested.yaml", "* * * * *", "0 0 30 2 *", [], {}, [{}], {"runs": 2},
    {"GetRun": 1},
    [{"duration": 1, "target": 3}], [{"duration": "30s", "target": "5/s"}, {"duration": "30s", "target": "0/s"}],
    {"message": "x"}, "poisson", "\ud800", {"\ud800": "\ud800"}, float("nan"), float("inf"), "\x1b[2J", "ü" * 100,
]  # fmt: skip

scenarios = st.builds(
    lambda mode, fields: {"mode": mode, "runTime": 1, **fields},
    st.sampled_from([*(mode.name for mode in TestMode), "CUSTOM", "NONE", None]),
    st.dictionaries(st.sampled_from([*FIELDS, "runtime", "\ud800"]), st.sampled_from(PLAUSIBLE), max_size=5),
)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
anything = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
files = (
    st.lists(scenarios, max_size=3)
    | st.fixed_dictionaries({"scenarios": st.lists(scenarios, max_size=3), "defaults": scenarios})
    | anything
)


def outcome(function: Callable[..., T], *arguments: Any, **options: Any) -> T | None:
    """The value of a function, or None where it has problems that can be printed."""
    problems: tuple[Problem, ...] = ()
    try:
        return function(*arguments, **options)
    except InputError as error:
        problems = error.problems
    assert problems
    assert all(problem.where and problem.what and str(problem).encode() for problem in problems)
    return None


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> TestConfig:
    monkeypatch.delenv("COLUMNS", raising=False)
    return TestConfig.from_environment()


@given(value=files)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_scenario_file(tmp_path: Path, config: TestConfig, value: Any) -> None:
    path = tmp_path / "f.json"
    path.write_text(json.dumps(value))
    plan = outcome(make_plan, path, config, extra_modes=["CUSTOM"])
    if plan is None:
        return
    assert len({scenario.name for scenario in plan.scenarios}) == len(plan.scenarios)
    for scenario in plan.scenarios:
        load = workload_of(scenario)
        first = load.due(0) if isinstance(load, OpenLoad) else load.next_change(0.0)
        assert first is None or 0 <= first <= scenario.run_seconds
    drawn = io.StringIO()
    print_timeline(plan, drawn)
    assert max(map(len, drawn.getvalue().splitlines())) <= 80


CONDITIONS = next(yaml.safe_load_all((PIPELINES / "conditions.yaml").read_text()))


def places_of(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a document."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, inner in pairs for place in ((value, key), *places_of(inner))]


@pytest.mark.parametrize(
    "junk", [None, 5, "x", [], {}, [1], {"a": 1}, {1: 2}, True, "comp-condition-2", ["choose"]]
)
def test_any_part_of_a_pipeline_replaced_by_anything(tmp_path: Path, junk: Any) -> None:
    rng = random.Random(repr(junk))  # other parts for each
    count = len(places_of(CONDITIONS))
    path = tmp_path / "p.yaml"
    for index in rng.sample(range(count), min(count, 30)):
        document = copy.deepcopy(CONDITIONS)
        container, key = places_of(document)[index]
        container[key] = copy.deepcopy(junk)
        path.write_text(yaml.safe_dump(document))
        package = outcome(read_pipeline, path)
        if package is None:
            continue
        assert package.sequential_steps >= 1
        package.content(False)
        package.check_parameters({"side": 1, "none": 2})
