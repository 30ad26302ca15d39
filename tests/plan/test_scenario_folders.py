"""Names of scenarios, each of which has a folder in the result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.errors import InputError
from kfp_perf.plan.names import unique_names
from kfp_perf.result.files import folder_key
from kfp_perf.scenario.model import TestScenario

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_perf.plan import Plan

RUN: dict[str, Any] = {"mode": "PIPELINE_RUN", "runTime": 1, "pipelineFileName": "hello.yaml"}


@pytest.mark.parametrize(
    "mode",
    ["M" * 60, "\N{CJK UNIFIED IDEOGRAPH-20000}" * 60, "M" * 70],
    ids=["as long as a folder", "as many bytes", "longer"],
)
def test_names_that_are_made_of_long_modes_have_folders_of_their_own(mode: str) -> None:
    scenario = TestScenario.model_validate(
        {"mode": mode, "runTime": "1s", "numTimes": 1}, context={"extra_modes": {mode}}
    )
    names = unique_names([scenario] * 12)
    assert len({folder_key(name) for name in names}) == 12


@pytest.mark.parametrize(
    ("one", "other"),
    [("read", "read-"), ("read", "READ"), ("x" * 60 + "a", "x" * 60 + "b")],
    ids=["sign at the end", "case", "cut off"],
)
def test_names_that_would_share_a_folder_are_an_error_of_each(
    plan_of: Callable[..., Plan], one: str, other: str
) -> None:
    with pytest.raises(InputError) as caught:
        plan_of([{**RUN, "name": one}, {**RUN, "name": other}, {**RUN, "name": "third"}])
    assert [problem.where for problem in caught.value.problems] == ["f.json: $[0].name", "f.json: $[1].name"]
    assert f'would share the folder "{one[:60]}"' in caught.value.problems[0].what
    assert f'with "{other}"' in caught.value.problems[0].what
