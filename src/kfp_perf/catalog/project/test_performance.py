"""For pytest: tests the server that API_HOST names, or the emulator where there is none."""

import os
from pathlib import Path

from kfp_perf import run_test

HERE = Path(__file__).parent


def test_performance() -> None:
    """Fails, with what was not kept, where a threshold is not kept."""
    emulator = "" if "API_HOST" in os.environ else "fast"
    run_test(HERE / "performance.json", emulator=emulator, quiet=True)
