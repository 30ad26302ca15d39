"""Built-in scenarios and pipelines, the latter compiled from the sources beside them, and what `init` copies."""

from pathlib import Path

CATALOG = Path(__file__).parent
SCENARIOS = CATALOG / "scenarios"
PIPELINES = CATALOG / "pipelines"
SOURCES = CATALOG / "sources"
PROJECT = CATALOG / "project"
