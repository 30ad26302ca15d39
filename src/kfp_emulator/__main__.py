"""The command `kfp-emulator`, also as `python -m kfp_emulator`."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> None:
    """Run the emulator until it is interrupted."""
    _open_missing_streams()
    from kfp_emulator.command import emulator

    emulator(prog_name="kfp-emulator")


def _open_missing_streams() -> None:
    """Open the null device in place of standard streams that were closed at the start.

    Python sets `sys.stdout` to None there, and the first socket or file to be opened would get the free number.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # gets the lowest free number: this one
        if getattr(sys, name) is None:
            mode = "w" if number else "r"
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115  stays open


if __name__ == "__main__":
    main()
