from __future__ import annotations

from kfp_perf.result.records import Sample
from kfp_perf.runners.outage import OutageWatch


def sample(at: float, status: int) -> Sample:
    return Sample("GetRun", at, at, at + 0.1, status, "" if status == 200 else "refused")


def test_outages_that_were_ridden_out_are_told() -> None:
    watch = OutageWatch(60.0)
    for at, status in [(100, 200), (112, 0), (114, 503), (115, 200), (120, 0), (120.2, 200), (130, 0)]:
        watch.on_sample(sample(float(at), status))
    assert watch.away
    assert list(watch.remarks(100.0)) == ["the target did not answer for 3.1 s, from second 12 on"]
    assert watch.limit_reached(150.0) is None
    assert "did not come back for 61 s" in str(watch.limit_reached(191.0))
