"""Benchmarks: kfp-perf measured itself, and beside others. `python -m benchmarks` runs them all."""
