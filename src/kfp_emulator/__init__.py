"""An emulator of the KFP API server, v2beta1, with a modelled cluster behind it.

It shares no code with kfp_perf, so that the two check each other. Run it with `kfp-emulator`, `kfp-perf emulator`
or `python -m kfp_emulator --port 0`.
"""
