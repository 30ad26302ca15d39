from __future__ import annotations

from kfp_perf.statistics.random_streams import random_stream


def drawn(seed: int | None, purpose: str) -> list[float]:
    stream = random_stream(seed, purpose)
    return [stream.random() for _ in range(1000)]


def test_a_seed_and_a_purpose_give_the_same_numbers() -> None:
    assert drawn(1, "calls") == drawn(1, "calls")


def test_purposes_and_seeds_give_numbers_that_have_nothing_in_common() -> None:
    for other in (drawn(1, "choices"), drawn(2, "calls"), drawn(None, "calls")):
        pairs = list(zip(drawn(1, "calls"), other, strict=True))
        covariance = sum((x - 0.5) * (y - 0.5) for x, y in pairs) / len(pairs)
        assert abs(covariance) < 0.02, "1/12 where they are equal, about 0.003 by chance"


def test_without_a_seed_numbers_differ_each_time() -> None:
    assert drawn(None, "calls") != drawn(None, "calls")
