"""The surface for Python, as docs/python.md shows it."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sample_results import STARTED, Load, SampleTest

import kfp_perf
from kfp_perf.config import TestConfig, variable_name
from kfp_perf.result.reader import TestResult

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = (Path(__file__).parents[2] / "docs" / "python.md").read_text("utf-8")
SHORT = [
    {"name": "s", "mode": "PIPELINE_RUN", "runTime": "1s", "numTimes": 2, "pipelineFileName": "hello.yaml"}
]


def test_the_code_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    for field in TestConfig.model_fields:
        if field != "evidence":  # which is off for all tests, see tests/conftest.py
            monkeypatch.delenv(variable_name(TestConfig, field), raising=False)
    monkeypatch.chdir(tmp_path)
    short = tmp_path / "smoke.json"
    short.write_text(json.dumps(SHORT))
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert len(blocks) == 5
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), names)
        # Only the test is a shorter one; all else finds what a user has: built-in files, and what the page makes.
        short.unlink(missing_ok=True)
    result, frame = names["result"], names["frame"]
    assert result.document["verdict"]["text"] == "passed"
    assert names["plan"].name == "nightly"
    assert len(frame) == len(list(result.runs())) > 0
    assert (tmp_path / "tables" / "runs.csv").exists()
    assert "succeeded" in capsys.readouterr().out


def test_the_page_names_what_there_is() -> None:
    for name in re.findall(r"^from kfp_perf import (.+)$", TEXT, re.MULTILINE):
        assert set(name.split(", ")) <= set(kfp_perf.__all__)


def test_runs_as_a_frame(sample: Callable[[SampleTest], TestResult]) -> None:
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    loads = (Load("a", 20, 0.0, 60.0, 10.0, failed=0.2, unfinished=0.2),)
    result = sample(SampleTest(loads=loads))
    frame = result.to_pandas()
    assert list(frame["name"]) == [record.name for record in result.runs()]
    assert frame["due"].min() == pd.Timestamp(STARTED, unit="s", tz="UTC")
    assert str(frame["finished_at"].dtype).startswith("datetime64")
    ended = frame["outcome"] != "unfinished"
    assert frame["finished_at"].notna().equals(ended)
    assert frame.loc[ended, "phase_execute_seconds"].gt(0).all()
    assert set(frame["outcome"]) == {"succeeded", "failed", "unfinished"}


def test_tasks_as_a_frame(sample: Callable[[SampleTest], TestResult]) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    result = sample(SampleTest(loads=(Load("a", 20, 0.0, 60.0, 10.0, unfinished=0.2),)))
    frame = result.to_pandas("tasks")
    ended = [record.name for record in result.runs() if record.finished_at is not None]
    assert list(frame["run"].unique()) == ended
    assert list(frame["task"].unique()) == ["load", "check", "train"]
    assert str(frame["started_at"].dtype).startswith("datetime64")
    assert (frame["ended_at"] > frame["started_at"]).all()
    assert not frame.loc[frame["task"] == "check", "on_critical_path"].any()


def test_a_test_without_runs_is_an_empty_frame(empty: TestResult) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    assert empty.to_pandas().empty
    assert empty.to_pandas("tasks").empty


def test_without_pandas_it_says_what_to_install(empty: TestResult, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ImportError, match=r"'\.\[pandas\]' in a checkout"):
        empty.to_pandas()


def test_a_notebook_shows_verdict_and_runs_as_text(nightly: TestResult) -> None:
    shown = nightly._repr_html_()
    assert "failed" in shown
    assert f"<td>{nightly.document['total']['runs']['created']}</td>" in shown
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown
    assert "no result yet" in TestResult(nightly.path)._repr_html_()
