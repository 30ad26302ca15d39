"""Signals that come when the exit code is known."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from kfp_perf.cli.ending import signals_ignored

_PROGRAM = """
import os, signal, sys
import kfp_perf.cli as cli
def outcome(arguments):
    return 1
def flush():
    os.kill(os.getpid(), signal.{name})
cli.outcome, cli.flush_streams = outcome, flush
cli.main()
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_after_the_outcome_does_not_change_the_exit_code(name: str) -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM.format(name=name)], check=False)
    assert done.returncode == 1


def test_while_the_summary_is_shown_signals_are_ignored() -> None:
    before = signal.getsignal(signal.SIGINT)
    with signals_ignored():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
