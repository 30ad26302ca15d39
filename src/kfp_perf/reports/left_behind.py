"""What a test left on the server, in words, and the command that deletes it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from kfp_perf.reports.document import dig
from kfp_perf.reports.quantities import count_of
from kfp_perf.result.journal import ObjectKind, left_behind

if TYPE_CHECKING:
    from kfp_perf.result.reader import TestResult


def cleanup_command(result: TestResult) -> str:
    """The command that deletes what a test left; a target of the targets file is named, for its credentials."""
    name = dig(result.document, "target", "name")
    target = f" --target {shlex.quote(name)}" if isinstance(name, str) and name else ""
    return f"kfp-perf cleanup {shlex.quote(str(result.path))}{target}"


def still_there(result: TestResult) -> frozenset[str]:
    """The ids of the runs that are still on the server by the journal; none of the emulator of the test's own."""
    if dig(result.document, "target", "emulator_profile"):
        return frozenset()
    try:
        left = [made for path in result.journal_paths for made in left_behind(path)]
    except OSError:
        return frozenset()
    return frozenset(made.id for made in left if made.kind is ObjectKind.RUN and made.id)


def stays(result: TestResult) -> str:
    """Say what is still on the server by the journal, beside what could not be deleted; empty: nothing is.

    What was made on the emulator of the test's own is gone with it.
    """
    if dig(result.document, "target", "emulator_profile"):
        return ""
    try:
        left = [made for path in result.journal_paths for made in left_behind(path)]
    except OSError:
        return ""
    listed = dig(result.document, "leftovers")
    count = len(left) - (len(listed) if isinstance(listed, list) else 0)
    if count <= 0:
        return ""
    if dig(result.document, "configuration", "keep") in {"all", "failed"}:
        return f"{count_of(count, 'object')} left on the server, as asked for"
    return f"{count_of(count, 'object')} may still be on the server"
