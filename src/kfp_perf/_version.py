"""The version, on its own so that `kfp-perf --version` imports nothing else."""

__version__ = "0.1.0"
