"""Metrics that are not true: what an endpoint that lies would export."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

    from kfp_emulator.server.faults import FalseValues

_SAMPLE = re.compile(r"^(?P<name>[^#\s][^{\s]*(\{.*\})?) (?P<value>\S+)$", re.MULTILINE)
_CONSTANT = {"nan": "NaN", "infinite": "+Inf", "negative": "-1", "text": "many"}


def falsify(text: str, effect: FalseValues, rng: random.Random) -> str:
    """Return a page of metrics with the value of every sample replaced.

    `backwards` multiplies all of them by one chance factor between 0 and 1, so that counters go down.
    """
    if effect.value != "backwards":
        return _SAMPLE.sub(lambda found: f"{found['name']} {_CONSTANT[effect.value]}", text)
    factor = rng.random()
    return _SAMPLE.sub(lambda found: f"{found['name']} {float(found['value']) * factor!r}", text)
