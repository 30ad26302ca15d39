"""Built-in scenarios and pipelines; the pipelines are compiled from the Python sources beside them."""

from pathlib import Path

CATALOG = Path(__file__).parent
SCENARIOS = CATALOG / "scenarios"
PIPELINES = CATALOG / "pipelines"
SOURCES = CATALOG / "sources"
