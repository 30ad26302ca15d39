from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from made_samples import made_sample

from kfp_perf.result.records import Attempt
from kfp_perf.runners.outage import OutageWatch

if TYPE_CHECKING:
    from kfp_perf.result.records import Sample


def sample(at: float, status: int, took: float = 0.1, error: str = "refused") -> Sample:
    return made_sample("GetRun", at, at, at + took, status, "" if status == 200 else error)


def watch(*samples: Sample) -> OutageWatch:
    """A watch with a limit of 60 s that has seen these."""
    one = OutageWatch(60.0)
    for each in samples:
        one.on_sample(each)
    return one


def test_outages_that_have_ended_are_reported() -> None:
    statuses = [(100, 200), (112, 0), (114, 503), (115, 200), (120, 0), (120.2, 200), (130, 0), (140, 0)]
    one = watch(*(sample(float(at), status) for at, status in statuses))
    assert one.away
    assert list(one.remarks(100.0)) == ["the target did not answer for 3.1 s, from second 12 on"]
    assert one.limit_reached(150.0) is None
    assert "did not come back for 61 s" in str(one.limit_reached(191.0))


@pytest.mark.parametrize("status", [0, 408, 499, 502, 503, 504, 520, 524, 527])
def test_no_answer_is_also_what_a_gateway_says_in_place_of_one(status: int) -> None:
    one = watch(sample(100, status), sample(130, status))
    assert one.away
    assert one.limit_reached(161.0) is not None


@pytest.mark.parametrize("status", [302, 400, 404, 429, 500, 501])
def test_any_other_status_is_an_answer(status: int) -> None:
    one = watch(sample(100, 0), sample(102, 0), sample(103, status))
    assert not one.away
    assert one.limit_reached(200.0) is None


def test_one_failure_among_answered_requests_is_no_outage() -> None:
    answered = [sample(100 + index / 30, 200, took=0.02) for index in range(30)]
    one = watch(*answered, sample(101, 503, took=0.02))
    assert not one.away
    one.on_sample(sample(101.03, 200, took=0.02))
    assert list(one.remarks(100.0)) == []


def test_one_request_that_hangs_while_others_are_answered_is_no_outage() -> None:
    answered = [sample(100 + index, 200) for index in range(60)]
    one = watch(*answered, sample(100, 0, took=60.0, error="timeout"))
    assert not one.away
    assert one.limit_reached(160.5) is None


def repeated(answered: float, sent: float, ended: float) -> Sample:
    """A read that was answered 429, was repeated, and timed out."""
    earlier = (Attempt(answered - 0.1, answered, 429, "429"),)
    return made_sample("GetRun", answered - 0.1, sent, ended, 0, "timeout", earlier=earlier)


def test_an_early_answer_of_a_repeated_read_hides_no_later_answer() -> None:
    one = watch(*(sample(100 + index, 200) for index in range(62)), repeated(101.0, 101.2, 161.95))
    assert not one.away
    assert one.limit_reached(162.0) is None
    one.on_sample(sample(161.96, 200))
    assert list(one.remarks(100.0)) == []


def test_answers_before_an_outage_do_not_end_it() -> None:
    one = watch(sample(149, 200), *(repeated(145.0, at - 5.0, at) for at in map(float, range(150, 211))))
    assert "for 61 s" in str(one.limit_reached(210.2))


def test_an_answer_that_is_known_only_after_the_outage_began_does_not_end_it() -> None:
    one = watch(sample(150, 0), sample(152, 0), repeated(149.5, 149.6, 153.0))
    assert one.away
    assert one.away_since == 150.0


def test_requests_that_all_hang_are_an_outage_since_the_first_was_sent() -> None:
    one = watch(sample(90, 200), sample(100, 0, took=60.0), sample(101, 0, took=60.0))
    assert one.away
    assert "for 61 s" in str(one.limit_reached(161.0))


def test_a_single_hung_request_is_an_outage_as_long_as_it_hung() -> None:
    assert "for 60 s" in str(watch(sample(100, 0, took=60.0)).limit_reached(170.0))


def test_one_failed_request_is_no_evidence_for_the_time_without_requests_after_it() -> None:
    one = watch(sample(100, 200), sample(160, 503))
    assert one.limit_reached(230.0) is None
    one.on_sample(sample(220, 503))
    assert one.limit_reached(220.2) is not None


def test_an_outage_begins_with_the_request_and_not_when_it_was_due() -> None:
    held = made_sample("CreateRun", 100.0, 0.0, 150.1, 0, "refused", held_seconds=50.0)
    one = watch(held, sample(151.5, 0))
    assert one.limit_reached(165.0) is None
    one.on_sample(sample(152.0, 200))
    assert list(one.remarks(100.0)) == ["the target did not answer for 2.1 s, from second 50 on"]


@pytest.mark.parametrize("kind", ["cancelled", "descriptors", "ports", "no_connection"])
def test_failures_on_this_side_are_no_outage(kind: str) -> None:
    one = watch(sample(100, 0, error=kind), sample(200, 0, error=kind))
    assert not one.away
    assert one.limit_reached(300.0) is None
