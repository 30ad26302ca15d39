"""A scenario file is run once, also where several workers of pytest-xdist hold its tests, and files run in turn."""

from __future__ import annotations

import fcntl
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from kfp_perf.errors import ExitCode, KfpPerfError
from kfp_perf.execution import TestFailed, run_test

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kfp_perf.result.reader import TestResult


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """How a scenario file ended: its result folder, or the error that kept it from having one.

    `interrupted`: the user, or the system, stopped the test.
    """

    folder: str = ""
    error: str = ""
    interrupted: bool = False


_decoder = msgspec.json.Decoder(FileOutcome)


def outcome_of(run: Callable[[], TestResult]) -> FileOutcome:
    """Run a test, and return how it ended."""
    try:
        result = run()
    except TestFailed as failed:
        return FileOutcome(
            str(failed.result.path.absolute()), interrupted=failed.exit_code is ExitCode.INTERRUPTED
        )
    except KfpPerfError as error:
        return FileOutcome(error=str(error))
    return FileOutcome(str(result.path.absolute()))


def run_once(file: Path, run: Callable[[], TestResult], shared: Path | None) -> FileOutcome:
    """Return the outcome of a scenario file: of `run`, or that of another worker that has run it.

    `shared` is the folder in which workers find each other, None where there is only this process. Only one file
    runs at a time: two tests at once would measure each other. A worker that dies gives the lock up.
    """
    if shared is None:
        return outcome_of(run)
    name = hashlib.sha256(str(file).encode()).hexdigest()[:16]
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = shared / f"{name}.json"
        if kept.exists():
            return _decoder.decode(kept.read_bytes())
        outcome = outcome_of(run)
        kept.write_bytes(msgspec.json.encode(outcome))
        return outcome


def run_file(file: Path, emulator: str, plugins: tuple[str, ...]) -> TestResult:
    """Run a scenario file against the target of the environment, or an emulator; nothing is shown meanwhile."""
    return run_test(file, plugins=plugins, emulator=emulator, quiet=True)
