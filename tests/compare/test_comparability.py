from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from made_executions import total, write_execution, write_side

from kfp_perf.compare import read_side
from kfp_perf.compare.comparability import warnings_of

if TYPE_CHECKING:
    from pathlib import Path

TARGET = {"version": "2.17.0", "commit": "abc", "emulator": True, "emulator_profile": "fast"}


@pytest.mark.parametrize(
    ("new", "warning"),
    [
        (
            {"scenario_file": {"text": '[{"mode": "EXPERIMENT"}]'}, "name": "other"},
            "the scenario file differs: nightly in the baseline, other in the new results",
        ),
        (
            {"given": {"scenarios": [{"name": "steady", "pipeline": "b" * 64}]}},
            "the content of the pipeline differs in scenario steady",
        ),
        ({"primary": [(None, "run.throughput")]}, "the two sides declare different primary metrics"),
        (
            {"target": TARGET | {"version": "2.18.0"}},
            "the version of the server differs: 2.17.0 (abc) in the baseline, 2.18.0 (abc) in the new results",
        ),
        (
            {"target": TARGET | {"emulator": False}},
            "the kind of target differs: the emulator in the baseline, a real server in the new results",
        ),
        ({"target": TARGET | {"emulator_profile": "kfp-2.17"}}, "the timing profile of the emulator differs"),
        (
            {"environment": {"system": "macOS", "cpus": 8, "kfp_perf": "0.1.0"}},
            "the machine of the load generator differs: Linux with 2 CPUs in the baseline, macOS with 8 CPUs",
        ),
        (
            {"environment": {"system": "Linux", "cpus": 2, "kfp_perf": "0.2.0"}},
            "the version of kfp-perf differs: 0.1.0",
        ),
        (
            {"verdict": {"text": "invalid", "exit_code": 5, "reasons": ["saturated"]}},
            "00: invalid: saturated",
        ),
        ({"figures": total(1.0, cached=50)}, "the share of cached runs differs: 0 % in the baseline, 50 %"),
        ({}, ""),
        ({"scenario_file": {"text": '[ {"mode":"PIPELINE_RUN"} ]'}}, ""),
    ],
)
def test_what_differs_is_a_warning(tmp_path: Path, new: dict[str, Any], warning: str) -> None:
    one, other = (
        write_side(tmp_path / "a", [1.0, 1.0]),
        write_side(tmp_path / "b", [1.0], first_minute=1, **new),
    )
    found = list(warnings_of(read_side([one]), read_side([other])))
    assert len(found) == bool(warning)
    assert warning in "".join(found)


def test_executions_of_one_side_differ(tmp_path: Path) -> None:
    for name, first in (("a", 0), ("b", 1)):
        write_execution(tmp_path / name / "0", total(1.0), minute=first)
        write_execution(tmp_path / name / "1", total(1.0), minute=first + 2, target=TARGET | {"version": "3"})
    found = list(warnings_of(read_side([tmp_path / "a"]), read_side([tmp_path / "b"])))
    assert found == [
        "the version of the server differs between executions of one side: 2.17.0 (abc) and 3 (abc)"
    ]


def test_one_side_after_the_other_does_not_exclude_drift(tmp_path: Path) -> None:
    one = read_side([write_side(tmp_path / "a", [1.0, 1.0])])
    other = read_side([write_side(tmp_path / "b", [1.0, 1.0], first_minute=30)])
    for sides in ((one, other), (other, one)):
        (found,) = warnings_of(*sides)
        assert "drift of the environment is not excluded" in found
    assert list(warnings_of(one, other, paired=True)) == []


def test_what_was_left_out_is_a_warning(tmp_path: Path) -> None:
    one = write_side(tmp_path / "a", [1.0, 1.0])
    other = write_side(tmp_path / "b", [1.0, 1.0], first_minute=1)
    (other / "01" / "result.json").unlink()
    (found,) = warnings_of(read_side([one]), read_side([other]))
    assert found == f"left out: {other / '01'}: the test did not reach its end"
