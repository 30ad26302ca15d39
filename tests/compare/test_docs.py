from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from made_executions import write_side

from kfp_perf.config import TestConfig
from kfp_perf.plan import make_plan

if TYPE_CHECKING:
    import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "comparing.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_code_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_side(tmp_path / "old", [10.0, 10.1, 9.9])
    write_side(tmp_path / "new", [11.6, 11.5, 11.7], first_minute=1)
    (code,) = blocks("python")
    exec(compile(code, "docs/comparing.md", "exec"), {})
    assert "run.visible.mean slower 0.16" in capsys.readouterr().out


def test_the_scenario_files_of_the_page_are_valid(tmp_path: Path) -> None:
    for text in blocks("json"):
        (tmp_path / "mine.json").write_text(text)
        plan = make_plan(tmp_path / "mine.json", TestConfig.from_environment())
        content = json.loads(text)
        assert [one.metric for one in plan.primary] == content.get("primary", [])
        assert [one.metric.name for one in plan.thresholds if one.margin] == list(
            content.get("thresholds", ())
        )
