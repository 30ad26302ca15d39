from __future__ import annotations

import json
import statistics
from typing import TYPE_CHECKING, Any

import pytest

from kfp_emulator.clock import SECOND
from kfp_emulator.cluster.timing import (
    PROFILE_FIELDS,
    Draws,
    constant,
    list_profiles,
    load_profile,
    parse_profile,
)
from kfp_emulator.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


def test_draws_depend_on_seed_name_and_purpose_alone() -> None:
    first = Draws(1, "run")
    values = [first.uniform(purpose) for purpose in ("a", "b")]
    again = Draws(1, "run")
    assert [again.uniform(purpose) for purpose in ("b", "a")] == values[::-1]
    assert Draws(2, "run").uniform("a") != values[0]
    assert Draws(1, "other").uniform("a") != values[0]


def test_draws_are_uniform() -> None:
    draws = Draws(7, "run")
    values = [draws.uniform(f"purpose-{number}") for number in range(20_000)]
    assert 0 < min(values) < 0.001
    assert 0.999 < max(values) < 1
    assert statistics.fmean(values) == pytest.approx(0.5, abs=0.01)
    assert statistics.pstdev(values) == pytest.approx(0.2887, abs=0.01)
    tenths = [sum(int(value * 10) == tenth for value in values) for tenth in range(10)]
    assert min(tenths) > 1_850
    assert max(tenths) < 2_150


@pytest.mark.parametrize(
    ("shape", "median", "p99"),
    [
        ({"uniform": {"from": 1, "to": 3}}, 2.0, 2.98),
        ({"exponential": {"mean": 2}}, 1.386, 9.21),
        ({"normal": {"mean": 10, "sd": 1}}, 10.0, 12.33),
        ({"lognormal": {"median": 2, "p99": 10}}, 2.0, 10.0),
        ({"lognormal": {"median": 2, "p99": 10}, "max": 5, "min": 1}, 2.0, 5.0),
        ({"choice": [1, 2, 3]}, 2, 3),
        (4.5, 4.5, 4.5),
    ],
)
def test_distributions_have_their_quantiles(shape: Any, median: float, p99: float) -> None:
    distribution = parse_profile("own", {"driver_seconds": shape}).driver_seconds
    draws = Draws(3, "run")
    values = sorted(distribution.draw(draws, str(number)) / SECOND for number in range(10_001))
    assert values[5_000] == pytest.approx(median, rel=0.05)
    assert values[9_900] == pytest.approx(p99, rel=0.1)


def test_nothing_is_shorter_than_zero() -> None:
    distribution = parse_profile("own", {"driver_seconds": {"normal": {"mean": 0, "sd": 5}}}).driver_seconds
    draws = Draws(3, "run")
    assert min(distribution.draw(draws, str(number)) for number in range(200)) == 0


def test_the_built_in_profiles_are_listed_with_a_line_each() -> None:
    assert list(list_profiles()) == ["instant", "fast", "kfp-2.17"]
    for name, description in list_profiles().items():
        profile = load_profile(name)
        assert (profile.name, profile.description) == (name, description)
        assert "\n" not in description


def test_every_field_of_a_profile_is_documented() -> None:
    assert all(kind and text for kind, text in PROFILE_FIELDS.values())


def test_instant_takes_no_time_but_a_millisecond_of_reporting() -> None:
    profile = load_profile("instant")
    assert profile.driver_seconds.constant == 0
    assert profile.report_delay_seconds.constant == 1_000


def test_the_real_profile_has_the_known_intervals() -> None:
    profile = load_profile("kfp-2.17")
    assert (
        profile.controller_requeue_seconds == constant(10)
        or profile.controller_requeue_seconds.constant == 10 * SECOND
    )
    assert (profile.kubernetes_calls_per_second, profile.kubernetes_burst) == (5, 10)
    assert (profile.schedule_resync_seconds, profile.schedule_wait_seconds) == (30, 10)
    assert profile.report_workers == 2


def test_a_profile_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "slow.json"
    document = {"executor_seconds": 5, "executor_seconds_by_task": {"train-*": 60, "*": 1}, "nodes": 3}
    path.write_text(json.dumps(document))
    profile = load_profile(str(path))
    assert profile.name == "slow"
    assert profile.executor_distribution("train-model").constant == 60 * SECOND
    assert profile.executor_distribution("evaluate").constant == SECOND
    assert profile.nodes == 3


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"drivr_seconds": 1}, "$.drivr_seconds: is no field of a profile"),
        ({"driver_seconds": -1}, "must be a number, not below 0"),
        ({"driver_seconds": True}, "must be a number, not below 0"),
        ({"driver_seconds": "1s"}, "must be a number, not below 0"),
        ({"driver_seconds": {}}, "hold exactly one of uniform"),
        ({"driver_seconds": {"uniform": {"from": 1}}}, "uniform needs exactly: from, to"),
        ({"driver_seconds": {"uniform": {"from": 2, "to": 1}}}, "from is greater than to"),
        ({"driver_seconds": {"lognormal": {"median": 0, "p99": 1}}}, "median must be positive"),
        ({"driver_seconds": {"lognormal": {"median": 5, "p99": 1}}}, "at most p99"),
        ({"driver_seconds": {"choice": []}}, "at least one"),
        ({"driver_seconds": {"choice": ["a"]}}, "must be a number"),
        (
            {"driver_seconds": {"uniform": {"from": 1, "to": 2}, "min": 3, "max": 2}},
            "min is greater than max",
        ),
        ({"nodes": 0}, "at least 1"),
        ({"nodes": 1.5}, "whole number"),
        ({"pods_per_node": -1}, "whole number"),
        ({"executor_failure_share": 2}, "from 0 to 1"),
        ({"executor_seconds_by_task": [1]}, "patterns and durations"),
        ({"description": 1}, "must be a text"),
        ([], "$: must be an object"),
    ],
)
def test_a_wrong_profile_says_what_is_wrong_and_where(document: Any, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_profile("own", document, where="own.json")
    assert problem in str(caught.value)
    assert "own.json: $" in str(caught.value)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(InputError) as caught:
        parse_profile("own", {"a": 1, "nodes": 0, "driver_seconds": None})
    assert len(caught.value.problems) == 3


def test_files_that_are_missing_or_no_json(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no profile 'fsat'"):
        load_profile("fsat")
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    with pytest.raises(InputError, match="is not JSON"):
        load_profile(str(broken))
    with pytest.raises(InputError, match="cannot be read"):
        load_profile(str(tmp_path))
