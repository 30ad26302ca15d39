"""The built-in pipelines are what their sources compile to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kfp_perf.catalog import PIPELINES
from kfp_perf.catalog.compile import PIPELINE_NAMES, compile_pipeline, compiled_path
from kfp_perf.pipelines.package import read_pipeline

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.sdk


def without_version(path: Path) -> str:
    """The text of a compiled pipeline without the version of the SDK that compiled it."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.startswith("sdkVersion:"))


@pytest.mark.parametrize("name", PIPELINE_NAMES)
def test_a_pipeline_is_in_step_with_its_source(name: str, tmp_path: Path) -> None:
    again = compile_pipeline(name, tmp_path)
    assert without_version(again) == without_version(compiled_path(name)), (
        "run python -m kfp_perf.catalog.compile"
    )


def test_every_pipeline_has_a_source() -> None:
    assert sorted(PIPELINES.iterdir()) == sorted(compiled_path(name) for name in PIPELINE_NAMES)


def test_the_version_is_the_only_line_that_is_left_out() -> None:
    text = compiled_path("hello").read_text(encoding="utf-8")
    assert len(text.splitlines()) == len(without_version(compiled_path("hello")).splitlines()) + 1


@pytest.mark.parametrize("name", PIPELINE_NAMES)
def test_every_pipeline_runs_without_parameters(name: str) -> None:
    package = read_pipeline(compiled_path(name))
    assert package.name == f"kfp-perf-{name.replace('_', '-')}"
    assert package.check_parameters({}) == []
