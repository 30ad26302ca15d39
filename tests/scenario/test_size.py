from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from kfp_perf.scenario.model import TestScenario


def scenario(**fields: Any) -> TestScenario:
    return TestScenario.model_validate({"mode": "PIPELINE_UPLOAD", "runTime": 1, **fields})


@pytest.mark.parametrize(
    ("given", "size_bytes"),
    [
        (5000, 5000),
        ("1KB", 1000),
        ("1.5kB", 1500),
        (" 64 KiB ", 65536),
        ("2MB", 2_000_000),
        ("32MiB", 33554432),
        ("1000B", 1000),
    ],
)
def test_sizes_are_bytes_or_have_a_unit(given: Any, size_bytes: int) -> None:
    assert scenario(size=given).size == size_bytes


@pytest.mark.parametrize(
    "given", [0, -1, 999, "1GB", "33MiB", "KB", "", True, 1.5, None, [], "1e3KB", "10 kb", 10**30]
)
def test_what_is_no_size_is_refused(given: Any) -> None:
    if given is None:
        assert scenario(size=None).size is None
        return
    with pytest.raises(ValidationError, match=r"size|from 1KB"):
        scenario(size=given)


def test_a_file_has_its_own_size() -> None:
    with pytest.raises(ValidationError, match="cannot be given together"):
        scenario(size="10KB", pipelineFileName="hello.yaml")


def test_other_modes_have_no_size() -> None:
    with pytest.raises(ValidationError, match="not used by mode"):
        scenario(mode="PIPELINE_RUN", pipelineFileName="hello.yaml", size="10KB")
