from __future__ import annotations

import pytest

from kfp_perf.observe.pace import LONGEST_POLL_SECONDS, SHORTEST_POLL_SECONDS, Pace


def pause_after(*, pages: int = 0, ended: int = 0, unended: int = 0, seconds: float = 0.02) -> float:
    pace = Pace(None)
    for _ in range(pages):
        pace.page_took(seconds)
    for _ in range(ended):
        pace.get_took(seconds, ended=True)
    for _ in range(unended):
        pace.get_took(seconds, ended=False)
    pace.looked()
    return pace.pause()


def test_looking_takes_a_twentieth_of_the_server_s_time() -> None:
    assert pause_after(pages=2) == pytest.approx(0.8)
    assert pause_after(unended=10) == pytest.approx(4.0)
    assert pause_after(pages=1000) == LONGEST_POLL_SECONDS
    assert pause_after(pages=1, seconds=0.001) == SHORTEST_POLL_SECONDS


def test_many_ends_do_not_make_looks_rare() -> None:
    assert pause_after(pages=1, ended=5000) == pause_after(pages=1)


def test_what_a_look_cost_that_failed_is_not_counted_to_the_next() -> None:
    pace = Pace(None)
    pace.page_took(1.0)
    pace.failed()
    pace.page_took(0.05)
    pace.looked()
    assert pace.pause() == pytest.approx(1.0)
