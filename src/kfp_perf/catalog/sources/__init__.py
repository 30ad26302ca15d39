"""The built-in pipelines in Python: `python -m kfp_perf.catalog.compile` makes the YAML beside them from these.

Their steps are shell scripts in a small image: nothing is installed when a step starts, so that what is measured
is KFP, and no package index.
"""
