"""`python -m kfp_perf.emulator`."""

from kfp_perf.emulator.command import emulator

if __name__ == "__main__":
    emulator(prog_name="kfp-perf emulator")
