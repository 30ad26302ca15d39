"""Independent random numbers for each purpose of one seed."""

from __future__ import annotations

import random


def random_stream(seed: int | None, purpose: str) -> random.Random:
    """Return a generator whose numbers are independent of those of other purposes of the same seed.

    Python seeds a generator from text by its SHA-512 digest, the same on every machine. Without a seed the numbers
    differ each time.
    """
    return random.Random() if seed is None else random.Random(f"{seed}/{purpose}")
