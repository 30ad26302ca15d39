"""What the clean-up left, where it is known."""

from __future__ import annotations

from typing import Any

import pytest

from kfp_perf.metrics.cleanup import CleanupMetrics
from kfp_perf.metrics.figures import Figures
from kfp_perf.result.scenario_writer import ScenarioInfo
from kfp_perf.thresholds import Threshold, parse_threshold
from kfp_perf.verdict import judge, with_defaults

RUN = ("run kfp-perf-a",)


@pytest.mark.parametrize(
    ("infos", "left"),
    [
        ([{"ended": False}], {}),
        ([{}], {"left": 0}),
        ([{"leftovers": RUN}, {}], {"left": 1}),
        ([{"cleanup_failed": True}], {}),
        ([{"cleanup_failed": True}, {}], {}),
        ([{"cleanup_failed": True}, {"leftovers": RUN}], {"left": 1}),
    ],
    ids=["not over", "nothing", "one", "failed", "one of two failed", "failed, and at least one"],
)
def test_what_is_left_is_absent_where_it_is_not_known(
    infos: list[dict[str, Any]], left: dict[str, int]
) -> None:
    families = []
    for info in infos:
        families.append(CleanupMetrics())
        families[-1].on_info(ScenarioInfo(**{"name": "s", "ended": True, **info}))
    first, *others = families
    for other in others:
        first.merge(other)
    assert first.result() == left


def test_a_threshold_on_what_is_not_known_is_not_kept() -> None:
    nothing = Figures({}, {"cleanup": {}})
    threshold = parse_threshold("cleanup.left", "== 0", "t.json")
    assert isinstance(threshold, Threshold)
    (judged,) = judge([threshold], nothing)
    assert not judged.passed
    assert with_defaults([], [], nothing) == []
