"""The names of the files in a result folder."""

from __future__ import annotations

import re

#: Raised with each change of the files that an older reader would misread.
SCHEMA_VERSION = 2

RESULT_FILE = "result.json"
GIVEN_FILE = "given.json"
HEALTH_FILE = "health.json"
SCENARIOS_FOLDER = "scenarios"
#: The log has a folder of its own, so that no name given for it can be that of a file of results.
LOGS_FOLDER = "logs"

#: The files of one scenario, in `scenarios/<name>/`.
SCENARIO_FILE = "scenario.json"
RUNS_FILE = "runs.jsonl"
TASKS_FILE = "tasks.jsonl"
CALLS_FILE = "calls.jsonl"
COUNTERS_FILE = "counters.jsonl"
SERIES_FILE = "series.hlog"
JOURNAL_FILE = "journal.jsonl"


def safe_name(text: str) -> str:
    """Return a text as part of a file's name, at most 60 characters."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:60] or "test"
