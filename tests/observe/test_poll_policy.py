from __future__ import annotations

import pytest

from kfp_perf.observe.poll_policy import LONGEST_POLL_SECONDS, SHORTEST_POLL_SECONDS, PollPolicy


def pause_after(*, pages: int = 0, ended: int = 0, unended: int = 0, seconds: float = 0.02) -> float:
    policy = PollPolicy(None)
    for _ in range(pages):
        policy.page_took(seconds)
    for _ in range(ended):
        policy.get_took(seconds, ended=True)
    for _ in range(unended):
        policy.get_took(seconds, ended=False)
    policy.look_succeeded()
    return policy.pause()


def test_looking_takes_a_twentieth_of_the_servers_time() -> None:
    assert pause_after(pages=2) == pytest.approx(0.8)
    assert pause_after(unended=10) == pytest.approx(4.0)
    assert pause_after(pages=1000) == LONGEST_POLL_SECONDS
    assert pause_after(pages=1, seconds=0.001) == SHORTEST_POLL_SECONDS


def test_many_ends_do_not_make_looks_rare() -> None:
    assert pause_after(pages=1, ended=5000) == pause_after(pages=1)


def test_the_cost_of_a_failed_look_is_not_added_to_the_next() -> None:
    policy = PollPolicy(None)
    policy.page_took(1.0)
    policy.look_failed()
    policy.page_took(0.05)
    policy.look_succeeded()
    assert policy.pause() == pytest.approx(1.0)
