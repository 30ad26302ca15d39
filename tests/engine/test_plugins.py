from __future__ import annotations

import importlib
import queue
import re
import sys
from typing import TYPE_CHECKING

import pytest

from kfp_perf.config import TestConfig
from kfp_perf.engine import load_plugins
from kfp_perf.engine.plugins import load_class
from kfp_perf.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """
from kfp_perf import BaseRunner, MetricsCollector, TestConfig

class Mine(BaseRunner):
    def run(self): ...
    def stop(self): ...

class Counting(MetricsCollector):
    pass

class Extended(TestConfig):
    pass

RUNNERS = {"MINE": Mine}
METRICS = {"counting": Counting}
"""


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    path = tmp_path / "good_plugin.py"
    path.write_text(GOOD)
    return path


def test_a_file_declares_runners_and_collectors(plugin: Path) -> None:
    loaded = load_plugins([str(plugin)])
    assert list(loaded.runners) == ["MINE"]
    assert list(loaded.collectors) == ["counting"]


def test_a_file_named_as_a_standard_module_does_not_replace_it(plugin: Path) -> None:
    path = plugin.with_name("queue.py")
    path.write_text("from dataclasses import dataclass\n\n@dataclass\nclass A:\n    a: int\n" + GOOD)
    load_plugins([str(path)])
    assert sys.modules["queue"] is queue
    assert importlib.import_module("queue").SimpleQueue


def test_files_of_one_name_are_told_apart_and_each_is_loaded_once(plugin: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / plugin.name
    other.parent.mkdir()
    other.write_text(GOOD.replace('"MINE"', '"OTHER"').replace('"counting"', '"others"'))
    loaded = load_plugins([str(plugin), str(other)])
    assert list(loaded.runners) == ["MINE", "OTHER"]
    extended = load_class(f"{plugin}:Extended", TestConfig, "--config-class")
    assert extended.__module__ == loaded.runners["MINE"].__module__
    assert load_class(f"{plugin}:Extended", TestConfig, "--config-class") is extended


def test_a_module_on_the_path_works_too(plugin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(plugin.parent)
    assert list(load_plugins(["good_plugin"]).runners) == ["MINE"]


def test_entry_points_are_found(plugin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metadata = plugin.parent / "good_plugin-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: good-plugin\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(
        "[kfp_perf.runners]\nMINE = good_plugin:Mine\n[kfp_perf.metrics]\ncounting = good_plugin:Counting\n"
    )
    monkeypatch.syspath_prepend(plugin.parent)
    loaded = load_plugins()
    assert list(loaded.runners) == ["MINE"]
    assert list(loaded.collectors) == ["counting"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "declares none of RUNNERS, METRICS, REPORTS and SECTIONS"),
        ("import nothing_of_this_name", "ModuleNotFoundError"),
        ("1 +", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError"),
        ("RUNNERS = []", "not a dictionary"),
        ("RUNNERS = {'X': int}", "'X' is not a subclass of BaseRunner"),
        ("METRICS = {'x': 1}", "'x' is not a subclass of MetricsCollector"),
        (GOOD + "RUNNERS = {'PIPELINE_RUN': Mine}", "the name 'PIPELINE_RUN' is taken"),
        (GOOD + "METRICS = {'api': Counting}", "the name 'api' is taken"),
        (GOOD + "METRICS = {'load': Counting}", "the name 'load' is taken"),
    ],
)
def test_a_module_that_is_no_plugin_is_refused_in_words(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "bad_plugin.py"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        load_plugins([str(path)])


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(InputError) as caught:
        load_plugins(["nothing.py", "no_such_module"])
    assert [problem.where for problem in caught.value.problems] == [
        "--plugin nothing.py",
        "--plugin no_such_module",
    ]


def test_a_configuration_class_is_loaded_by_name(plugin: Path) -> None:
    assert issubclass(load_class(f"{plugin}:Extended", TestConfig, "--config-class"), TestConfig)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Extended", "names no class"),
        ("nothing_here:X", "cannot be imported"),
        ("kfp_perf.config:Missing", "cannot be imported"),
        ("kfp_perf:BaseRunner", "is not a subclass of TestConfig"),
    ],
)
def test_what_is_no_configuration_class_is_refused(name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        load_class(name, TestConfig, "--config-class")


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ("Metric('mine.x', Unit.COUNT, '', '', ('other', 'x'))", "Begin it with 'mine'"),
        ("Metric('run.duration', Unit.COUNT, '', '', ('mine', 'x'))", ""),
        ("Metric('run.success_rate', Unit.COUNT, '', '', ('mine', 'x'))", "Choose another one"),
        ("'mine.x'", "kfp_perf.Metric"),
    ],
)
def test_metrics_that_cannot_be_found_are_refused(tmp_path: Path, declared: str, words: str) -> None:
    path = tmp_path / "metrics_plugin.py"
    path.write_text(
        "from kfp_perf import Metric, MetricsCollector, Unit\n"
        f"class Mine(MetricsCollector):\n    metrics = ({declared},)\n"
        "METRICS = {'mine': Mine}\n"
    )
    if not words:
        assert load_plugins([str(path)]).collectors
        return
    with pytest.raises(InputError, match=re.escape(words)):
        load_plugins([str(path)])
