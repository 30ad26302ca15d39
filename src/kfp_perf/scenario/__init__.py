"""Scenarios as pure data, the files that hold them, and the times at which operations are due."""
