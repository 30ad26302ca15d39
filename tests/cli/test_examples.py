"""The example of extending runs as its docstring says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    Call = Callable[..., tuple[int, str, str]]

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_a_runner_a_collector_and_settings_of_ones_own(
    kfp_perf: Call, folder: Path, emulator_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KFP_PERF_TEAM", "search")
    plugin = str(EXAMPLES / "plugin.py")
    arguments = ("--plugin", plugin, "--config-class", f"{plugin}:ExtendedTestConfig", "--quiet")
    code, _, err = kfp_perf("run", str(EXAMPLES / "plugin.json"), "--host", emulator_url, *arguments)
    assert code == 0, err
    result = json.dumps(json.loads((folder / "results/latest/result.json").read_text()))
    assert '"team": "search"' in result
    assert '"gaps": {"longest": ' in result
    html = (folder / "results/latest/report.html").read_text()
    assert ["gaps.longest" in html, "How evenly did runs end?" in html] == [True, True]
    code, _, err = kfp_perf("report", "--plugin", plugin, "--format", "ids")
    assert code == 0, err
    assert len((folder / "results/latest/ids.txt").read_text().split()) == 15
