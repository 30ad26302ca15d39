from __future__ import annotations

from kfp_perf.live import ScenarioState, Snapshot
from kfp_perf.live.history import History


def snapshot(at: float) -> Snapshot:
    state = ScenarioState("a", "PIPELINE_RUN", "running", 0.0, 60.0, in_flight=3, succeeded=int(at), failed=1)
    return Snapshot(
        "t", "http://x", at, 60.0, [state, state], requests_per_second=at, errors={"a": 2, "b": 1}
    )


def test_each_state_is_a_point() -> None:
    history = History()
    history.add(snapshot(5.0))
    (point,) = history.points
    assert (point.at, point.in_flight, point.ended, point.errors) == (5.0, 6, 12, 3)


def test_preparation_is_not_drawn() -> None:
    history = History()
    history.add(snapshot(0.0))
    assert history.points == []


def test_a_test_of_days_keeps_few_points_from_its_beginning_to_its_end() -> None:
    history = History()
    for second in range(1, 500_001):
        history.add(snapshot(float(second)))
    assert 250 < len(history.points) <= 600
    assert history.points[0].at == 1.0
    assert history.points[-1].at > 498_000
    gaps = {after.at - before.at for before, after in zip(history.points, history.points[1:], strict=False)}
    assert len(gaps) <= 2
