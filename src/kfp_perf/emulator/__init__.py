"""A KFP API server that clients cannot tell from the real one, with a modelled cluster behind it.

It shares no code with our client: two witnesses of one protocol. Run it with `kfp-perf emulator`, or as a
process of its own with `python -m kfp_perf.emulator --port 0`.
"""
