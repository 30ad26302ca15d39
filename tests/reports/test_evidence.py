"""What the evidence says in reports: its values by name, its cells, and what it says of the bottleneck."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.metrics.metric import Unit
from kfp_perf.reports.evidence import bucketed_cell, evidence_values, signs
from kfp_perf.reports.quantities import between_of, quantity_of

if TYPE_CHECKING:
    from kfp_perf.result.reader import TestResult


def test_every_value_of_the_evidence_has_its_name_and_its_bounds(nightly: TestResult) -> None:
    found = {one.name: one for one in evidence_values(nightly.document["total"])}
    assert found["server.restarts"].value == 0.0
    assert found["server.restarts"].between is None
    handling = found["server.CreateRun.handling.p50"]
    assert (handling.value, handling.between) == (0.1, (0.0, 0.1))
    assert (found["controller.workflow_queue.depth.max"].value or 0.0) > 100.0
    assert not any(name.startswith(("run.", "api.")) for name in found)
    assert all("*" not in name for name in found)


@pytest.mark.parametrize(
    ("ends", "text"),
    [([0.1, 0.3], "100 to 300 ms"), ([0.0, 0.005], "≤ 5.0 ms"), ([300.0, None], "> 5 min"), (None, "–")],
)
def test_a_quantile_of_buckets_is_shown_with_its_bounds(ends: list[float | None] | None, text: str) -> None:
    assert bucketed_cell({"n": 20, "between": {"p95": ends}}, "p95") == text
    assert bucketed_cell({"n": 19, "between": {"p95": ends}}, "p95") == "–", "too few"


def test_bounds_in_other_units() -> None:
    assert between_of(2**20, 2**21, Unit.BYTES) == "1.0 MiB to 2.0 MiB"
    assert quantity_of(0.25, Unit.CORES) == "0.250 cores"


QUEUE = {"depth": {"mean": 12.5}, "busy_workers": {"mean": 31.0, "max": 32.0}}


@pytest.mark.parametrize(
    ("total", "said"),
    [
        ({}, ""),
        ({"server": {"restarts": 0, "open_files_share": 0.2}}, ""),
        ({"server": {"restarts": 2}}, "The API server restarted 2 times during the test."),
        ({"server": {"open_files_share": 0.95}}, "had 95 % of the open files that it may have"),
        ({"controller": {"queues": {"workflow_queue": QUEUE}}}, "while 12.5 workflows waited for one"),
        (
            {"controller": {"queues": {"workflow_queue": {**QUEUE, "busy_workers": {"mean": 9, "max": 32}}}}},
            "",
        ),
        ({"controller": {"queues": {"workflow_queue": {**QUEUE, "depth": {"mean": 0.2}}}}}, ""),
        ({"controller": {"kubernetes_requests_per_second": 19.8}}, "which is 20 (--qps)"),
        ({"controller": {"kubernetes_requests_per_second": 11.0}}, ""),
        ({"controller": {"kubernetes_requests_per_second": 80.0}}, ""),
        ({"controller": {"client_limiter_seconds": {"mean": 0.4}}}, "waited 400 ms on average"),
        ({"controller": {"client_limiter_seconds": {"mean": 0.01}}}, ""),
    ],
)
def test_what_the_evidence_says_of_the_bottleneck(total: dict[str, Any], said: str) -> None:
    found = signs(total)
    assert bool(found) is bool(said)
    assert said in " ".join(found)
