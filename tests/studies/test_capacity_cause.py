"""What gave way first: by phases, and by what the components say of themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kfp_perf.reports.capacity_words import SETTINGS_OF, setting_of
from kfp_perf.result.capacity import CauseRecord
from kfp_perf.studies.capacity.cause import PhaseTimes, component_of, growths, usable
from kfp_perf.studies.capacity.saturation import SIGNS, signs_of

PHASES = {
    "create": 0.03,
    "queue": 1.0,
    "driver": 6.0,
    "execute": 10.0,
    "transition": 12.0,
    "finish": 8.0,
    "visible": 1.5,
}


def times(grown: dict[str, float], *, seed: int = 0, ended: int = 200) -> PhaseTimes:
    """200 runs, a second apart, of which some phases grow by so many seconds a second."""
    random = np.random.default_rng(seed)
    due = np.arange(200.0)
    phases = {
        name: mean * random.uniform(0.9, 1.1, due.size) + grown.get(name, 0.0) * due
        for name, mean in PHASES.items()
    }
    left = np.arange(due.size) < ended
    return PhaseTimes(due, {name: np.where(left, one, np.nan) for name, one in phases.items()}, left)


@pytest.mark.parametrize(
    ("grown", "component"),
    [
        ({"driver": 0.05, "execute": 0.03}, "pods"),
        ({"queue": 0.01, "transition": 0.03, "finish": 0.02}, "controller"),
        ({"visible": 0.05}, "agent"),
        ({"visible": 0.05, "create": 0.002}, "api server"),
        ({"create": 0.05}, "api server"),
        ({}, "unknown"),
        ({"driver": 0.02, "transition": 0.02, "visible": 0.021}, "unknown"),
    ],
)
def test_the_component_in_whose_phases_runs_pile_up_gave_way(grown: dict[str, float], component: str) -> None:
    assert component_of(growths(times({}), times(grown, seed=1))) == component


def test_runs_that_were_due_when_many_did_not_end_are_left_out() -> None:
    limit = times({"driver": 0.05}, ended=60)
    assert usable(limit) == 80
    assert component_of(growths(times({}), limit)) == "pods"
    assert growths(times({}), times({"driver": 0.05}, ended=10)) == []


def figures(path: tuple[str, ...], value: float) -> dict[str, Any]:
    nested: Any = value
    for key in reversed(path):
        nested = {key: nested}
    found: dict[str, Any] = nested
    return found


@pytest.mark.parametrize("sign", SIGNS, ids=lambda sign: sign.meaning)
def test_a_figure_that_doubled_and_is_large_is_a_sign(sign: Any) -> None:
    limit = figures(sign.path, 2.5 * sign.least)
    (found,) = signs_of(figures(sign.path, sign.least), limit)
    assert (found.component, found.limit) == (sign.component, 2.5 * sign.least)
    assert signs_of({}, limit)[0].light is None
    assert signs_of(figures(sign.path, 2.0 * sign.least), limit) == ()
    assert signs_of({}, figures(sign.path, 0.5 * sign.least)) == ()
    # It points at a setting that there is.
    assert setting_of(CauseRecord(component=sign.component, evidence=(found,))) is not None


def test_a_component_without_cpu_left_is_a_sign() -> None:
    path = ("components", "by_name", "ml-pipeline", "cpu_share_of_limit", "max")
    (found,) = signs_of(figures(path, 0.2), figures(path, 0.97))
    assert (found.component, found.light, found.limit) == ("api server", 0.2, 0.97)
    setting = setting_of(CauseRecord(component="api server", evidence=(found,)))
    assert setting is not None
    assert "resources" in setting.name
    assert signs_of({}, figures(path, 0.5)) == ()
    emulated = figures(path, 0.97)
    emulated["components"]["modelled"] = True
    assert signs_of({}, emulated) == ()  # made up by an emulator


def test_every_component_has_settings() -> None:
    assert all(SETTINGS_OF.values())
    assert setting_of(CauseRecord(component="unknown")) is None
