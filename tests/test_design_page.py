"""docs/from-the-design.md names what exists."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

import kfp_perf

PAGE = (Path(__file__).parents[1] / "docs" / "from-the-design.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (`.*?) \| `(kfp_perf[\w.]*)` \|", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("names", "module"), ROWS)
def test_every_name_is_where_the_page_says(names: str, module: str) -> None:
    for name in re.findall(r"`(\w+)(?:\(.*?)?(?:\.(\w+))?", names):
        found = getattr(importlib.import_module(module), name[0])
        assert not name[1] or hasattr(found, name[1])


def test_every_name_of_the_design_has_its_row() -> None:
    given = [
        "TestScenario",
        "TestMode",
        "TestConfig",
        "BaseRunner",
        "PipelineRunner",
        "ExperimentRunner",
        "RandomGetsRunner",
        "create_runner",
        "JsonDeserializationUtils",
        "EnumSerDe",
        "MetricsCollector",
        "Logger",
        "LOG_COLORS",
    ]
    for name in given:
        assert f"`{name}" in PAGE
        assert hasattr(kfp_perf, name)
    for name in ("TestPerformance", "ExtendedTestConfig", "CustomRunner", "collect_custom_metrics"):
        assert name in PAGE


def test_the_examples_run() -> None:
    for example in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(compile(example, "from-the-design.md", "exec"), {"__name__": "example"})
