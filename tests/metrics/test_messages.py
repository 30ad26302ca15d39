from __future__ import annotations

import pytest

from kfp_perf.metrics.messages import Messages
from kfp_perf.result.calls import MOST_MESSAGES, OTHERS, alike


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Run 8f2c1a33-1111-4222-8333-123456789012 not found", "Run … not found"),
        ('name "kfp-perf-long-tail-0a1b2c3d-17" already exists', 'name "…" already exists'),
        ("deadline 2026-08-01T10:00:59.123Z has passed", "deadline … has passed"),
        ("layer sha256:0123456789abcdef0123 is missing", "layer sha256:… is missing"),
        ("pod 1790000123 died", "pod … died"),
        ("exit code 137 at 127.0.0.1:8888, HTTP 503", "exit code 137 at 127.0.0.1:8888, HTTP 503"),
        ("run `kfp-perf cleanup`", "run `kfp-perf cleanup`"),
        ("first\nsecond", "first"),
        ("x" * 5000, "x" * 300),
        ("", ""),
    ],
)
def test_what_varies_is_left_out(text: str, told: str) -> None:
    assert alike(text) == told


def test_the_most_frequent_come_first() -> None:
    messages = Messages()
    for kind, text in (("404", "no"), ("503", "busy"), ("503", "busy"), ("500", "busy")):
        messages.add(kind, text)
    assert messages.result() == [
        {"kind": "503", "message": "busy", "count": 2},
        {"kind": "404", "message": "no", "count": 1},
        {"kind": "500", "message": "busy", "count": 1},
    ]


def test_a_server_that_invents_messages_fills_no_memory_and_none_is_lost() -> None:
    one, other = Messages(), Messages()
    for place in range(1000):
        one.add("500", f"error {chr(97 + place % 26)}{chr(97 + place // 26)}")
        other.add(str(place), "another")
    one.merge(other)
    told = one.result()
    assert len(told) == MOST_MESSAGES + 1
    assert sum(row["count"] for row in told) == 2000
    assert told[0] == {"kind": "", "message": OTHERS, "count": 2000 - MOST_MESSAGES}
