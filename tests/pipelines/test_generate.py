from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kfp_perf.pipelines.generate import generate_pipeline
from kfp_perf.pipelines.package import read_pipeline

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("size", [1_000, 1_337, 10_000, 77_777, 200_000])
def test_a_generated_pipeline_is_valid_and_as_large_as_asked_for(size: int, tmp_path: Path) -> None:
    content = generate_pipeline(size)
    assert size - 600 < len(content) <= size
    assert content == generate_pipeline(size)
    path = tmp_path / "generated.yaml"
    path.write_bytes(content)
    package = read_pipeline(path)
    assert package.check_parameters({}) == []
    assert len(package.spec["root"]["dag"]["tasks"]) == content.count(b"taskInfo:")


def test_more_bytes_are_more_steps_in_few_layers(tmp_path: Path) -> None:
    path = tmp_path / "generated.yaml"
    path.write_bytes(generate_pipeline(100_000))
    package = read_pipeline(path)
    assert len(package.spec["root"]["dag"]["tasks"]) > 150
    assert package.sequential_steps < 20


@pytest.mark.parametrize("size", [0, 999, 32 * 1024 * 1024 + 1])
def test_sizes_that_no_pipeline_can_have_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="bytes"):
        generate_pipeline(size)


def test_the_largest_that_the_server_takes_is_within_its_limit() -> None:
    content = generate_pipeline(32 * 1024 * 1024)
    assert 32 * 1024 * 1024 - 600 < len(content) <= 32 * 1024 * 1024
