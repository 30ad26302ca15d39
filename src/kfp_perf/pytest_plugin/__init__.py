"""The plug-in for pytest. pytest imports `plugin` wherever kfp-perf is installed; the rest is imported on use."""

MARKER = "performance"
"""What scenario files and `TestPerformance` are marked with."""
SHARED_FOLDER = "kfp_perf_shared_folder"
"""Under this key each worker of pytest-xdist is sent the folder that they share."""
