"""A scenario to plan, and the problems of a plan by place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kfp_perf.errors import InputError

RUN: dict[str, Any] = {"mode": "PIPELINE_RUN", "runTime": 1, "pipelineFileName": "hello.yaml"}


def problems(error: InputError) -> dict[str, str]:
    return {problem.where: problem.what for problem in error.problems}
