"""The names of the files in a result folder."""

from __future__ import annotations

import unicodedata

#: Raised with each change of the files that an older reader would misread.
SCHEMA_VERSION = 2

RESULT_FILE = "result.json"
GIVEN_FILE = "given.json"
HEALTH_FILE = "health.json"
SCENARIOS_FOLDER = "scenarios"
#: A study: several executions, each a whole result in `executions/NN/`.
STUDY_FILE = "study.json"
EXECUTIONS_FOLDER = "executions"
#: The log has its own folder, so that its name cannot collide with a file of results.
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
    """Return a text as part of a file's name: letters of any script, at most 60 characters and 180 bytes."""
    kept = (char if _may_stand(char) else " " for char in unicodedata.normalize("NFC", text))
    name = "-".join("".join(kept).split()).strip("-._")[:60]
    return name.encode()[:180].decode(errors="ignore") or "test"


def folder_key(name: str) -> str:
    """Return what is equal for names that would share a folder, also where file systems ignore case."""
    return safe_name(name).casefold()


def _may_stand(character: str) -> bool:
    # Vowels of many scripts are marks.
    return character.isalnum() or character in "._-" or unicodedata.category(character).startswith("M")
