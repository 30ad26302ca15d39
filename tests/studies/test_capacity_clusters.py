"""Searches on clusters whose limit is known; benchmarks/capacity.py has the long form, docs/capacity.md a table."""

from __future__ import annotations

import pytest
from capacity_cluster import COMPONENTS, GIVES_WAY, first_rate, measure, random_cluster, search

from kfp_perf.studies.capacity.plateau import Part, PlannedPlateau
from kfp_perf.studies.capacity.search import SearchEnd, SearchLimits, answer

SEED = 1
#: How far a limit may be from its formula: a run takes more passes of the controller's workers when they are busy.
OFF = {"pods": 0.03, "throttle": 0.03, "workers": 0.15, "reporter": 0.03}


@pytest.mark.parametrize("component", COMPONENTS)
def test_the_limit_of_a_cluster_is_enclosed_and_named(component: str) -> None:
    cluster = random_cluster(SEED, component)
    limits = SearchLimits(4.0 * first_rate(cluster, SEED), precision=0.3)
    done, end, gave_way = search(cluster, limits, seed=SEED)
    found = answer(limits, done)
    assert end is SearchEnd.FOUND
    assert found.low is not None
    assert found.high is not None
    assert found.low <= cluster.capacity * (1.0 + OFF[component])
    assert found.high >= cluster.capacity * (1.0 - OFF[component])
    assert found.high <= 1.7 * found.low
    assert gave_way == GIVES_WAY[component]
    assert sum(one.step.part is Part.PLATEAU for one in done) <= 8


def test_a_plateau_well_below_the_limit_is_not_stopped_and_one_beyond_it_is() -> None:
    for seed in range(3):
        cluster = random_cluster(seed, "pods")
        for load, stopped in ((0.8, False), (1.3, True)):
            rate = load * cluster.capacity
            planned = PlannedPlateau(Part.PLATEAU, rate, 120.0, 300.0 / rate, 60.0)
            plateau, _ = measure(cluster.profile, planned, seed=seed)
            assert bool(plateau.stopped) is stopped
            assert plateau.held is not stopped
