"""The program's entry: answers `--version` before anything heavy is imported."""

from __future__ import annotations

import sys

from kfp_perf.streams import open_missing_streams


def main() -> None:
    """Run the command line."""
    open_missing_streams()
    if sys.argv[1:] in (["--version"], ["-V"]):
        from kfp_perf._version import __version__

        sys.stdout.write(f"kfp-perf {__version__}\n")
        return
    from kfp_perf.cli import main as command

    command()


if __name__ == "__main__":
    main()
