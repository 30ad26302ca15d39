"""The command `kfp-emulator`, also as `python -m kfp_emulator`."""

from kfp_emulator.command import emulator


def main() -> None:
    """Run the emulator until it is interrupted."""
    emulator(prog_name="kfp-emulator")


if __name__ == "__main__":
    main()
