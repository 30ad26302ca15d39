"""The emulator answers as a real KFP API server did, by the recordings of its answers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from replay.on_purpose import ON_PURPOSE
from replay.player import Pair, replay
from replay.recording import Recording, read_recordings

if TYPE_CHECKING:
    from collections.abc import Iterable

OWN = read_recordings(Path(__file__).with_name("recordings"))
SHARED = Path(__file__).parents[3] / "shared" / "recordings"
EQUAL_SHARE = 0.95


def _different(pairs: Iterable[Pair]) -> list[tuple[int, str, tuple[str, ...]]]:
    return [
        (pair.exchange.number, pair.exchange.path, pair.differences)
        for pair in pairs
        if pair.result == "different"
    ]


@pytest.mark.parametrize("recording", OWN, ids=lambda recording: recording.name)
def test_answers_are_as_recorded(recording: Recording) -> None:
    pairs = replay(recording)
    assert _different(pairs) == []
    assert len(pairs) == len(recording.exchanges)
    assert {pair.result for pair in pairs} <= {"equal", "on purpose"}


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason=f"there are no recordings in {SHARED}")
def test_nearly_all_answers_of_a_real_server_are_repeated() -> None:
    played = [(recording.name, pair) for recording in read_recordings(SHARED) for pair in replay(recording)]
    counts = Counter(pair.result for _, pair in played)
    replayed = len(played) - counts["not replayable"]
    assert replayed > 400
    different = [(name, *each) for name, pair in played for each in _different([pair])]
    assert counts["equal"] >= EQUAL_SHARE * replayed, different
    unused = [
        purpose.reason
        for purpose in ON_PURPOSE
        if not any(
            purpose.covers(name, difference) for name, pair in played for difference in pair.differences
        )
    ]
    assert unused == [], "the emulator does not differ here any more: take the entry away"
