"""The reports of studies: KINDS is the table of what a study can be, FORMATS of how it is written."""

from __future__ import annotations

import contextlib
import importlib
from typing import TYPE_CHECKING, Any

import msgspec

from kfp_perf.errors import ExitCode, InputError, Problem
from kfp_perf.reports.capacity_cases import capacity_document
from kfp_perf.reports.csv_records import csv_of
from kfp_perf.reports.junit import junit_of_executions
from kfp_perf.reports.markdown import markdown_of
from kfp_perf.reports.openmetrics import openmetrics_of_executions
from kfp_perf.reports.plain_text import plain_text, print_to
from kfp_perf.reports.story_console import parts_of
from kfp_perf.reports.study_executions import study_ended
from kfp_perf.reports.webpage import page_of
from kfp_perf.result.capacity import KIND as CAPACITY
from kfp_perf.result.reader import TestResult
from kfp_perf.result.study import ExecutionRecord
from kfp_perf.result.whole_file import indented_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import TextIO

    from kfp_perf.reports.story.blocks import Story
    from kfp_perf.result.study import Study

#: For each kind of study the module that has `study_story(study) -> Story`, and `study_document(study)`, the plain
#: values of its JSON.
KINDS = {
    "repetition": "kfp_perf.reports.repetition_story",
    "duel": "kfp_perf.reports.duel_story",
    "capacity": "kfp_perf.reports.capacity_story",
}

SCHEMA_VERSION = 1
REPORT_FILE = "report.html"


def story_of_study(study: Study) -> Story:
    """The report of a study. Raises `InputError` for results that cannot be read, and a kind that is not known."""
    story: Story = _module(study).study_story(study)
    return story


def print_study(study: Study, file: TextIO) -> None:
    """Print it in colours, as wide as the terminal."""
    print_to(file, parts_of(story_of_study(study)))


def draw_console(study: Study) -> dict[str, bytes]:
    """Plain text, 100 columns wide."""
    return {"summary.txt": plain_text(parts_of(story_of_study(study)))}


def draw_markdown(study: Study) -> dict[str, bytes]:
    """A comment for a pull request; the list of executions is folded away."""
    story = story_of_study(study)
    return {"report.md": markdown_of(story, {one.id: one.id == "executions" for one in story.sections})}


def draw_json(study: Study) -> dict[str, bytes]:
    """The figures of the study, with `schema_version`, `study` (what `study.json` holds) and those of its kind."""
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "study": msgspec.to_builtins(study.record),
        **_module(study).study_document(study),
    }
    return {"study.json": indented_json(document)}


def draw_html(study: Study) -> dict[str, bytes]:
    """A web page."""
    return {REPORT_FILE: page_of(story_of_study(study))}


def draw_csv(study: Study) -> dict[str, bytes]:
    """A row an execution; of a search for the capacity one a plateau, with what it measured."""
    table = getattr(_module(study), "study_table", None)
    if table is not None:
        return {"plateaus.csv": table(study)}
    return {"executions.csv": csv_of(ExecutionRecord, study.record.executions)}


def draw_junit(study: Study) -> dict[str, bytes]:
    """The test cases of each execution that counts."""
    return {"junit.xml": junit_of_executions(_documents(study))}


def draw_openmetrics(study: Study) -> dict[str, bytes]:
    """The main figures of each execution that counts, with the label `execution`."""
    return {"metrics.txt": openmetrics_of_executions(_documents(study))}


def _documents(study: Study) -> Iterator[tuple[str, dict[str, Any]]]:
    """The number of each execution that counts, with its result; what `study.json` has of it where it left none.

    At the end the study itself, where it judged thresholds, or did not pass and no execution says why. A search for
    the capacity is one result: loads that do not hold are part of it.
    """
    record = study.record
    if record.kind == CAPACITY:
        yield "", capacity_document(study)
        return
    for one in record.counted:
        document: dict[str, Any] = {}
        with contextlib.suppress(InputError):
            document = TestResult.open(study.folder_of(one)).document
        if not document:
            verdict = {"text": one.verdict, "exit_code": one.exit_code, "reasons": list(one.reasons)}
            document = {"name": record.name, "started": one.started, "verdict": verdict}
        yield " ".join(filter(None, (f"{one.number:02}", one.label))), document
    ended = record.exit_code if record.finished else ExitCode.INTERRUPTED
    judged, silent = record.answer.get("thresholds"), not any(one.exit_code for one in record.counted)
    if judged or (ended and silent):
        kept = all(one.get("passed") for one in judged or ())
        code = int(ended or ExitCode.GOOD) if silent else int(not kept)
        text = "the study did not pass" if code else "passed"
        verdict = {"text": text, "exit_code": code, "reasons": study_ended(study) if code else []}
        document = {"name": record.name, "started": record.started, "verdict": verdict}
        yield "study", {**document, "thresholds": judged or [], "scenario_file": scenario_file_of(study)}


FORMATS: Mapping[str, Callable[[Study], dict[str, bytes]]] = {
    "console": draw_console,
    "markdown": draw_markdown,
    "json": draw_json,
    "csv": draw_csv,
    "html": draw_html,
    "junit": draw_junit,
    "openmetrics": draw_openmetrics,
}


def scenario_file_of(study: Study) -> dict[str, str]:
    """The scenario file of a study as a result has it; its path is empty where no execution says it."""
    for one in study.record.executions:
        with contextlib.suppress(InputError):
            found = TestResult.open(study.folder_of(one)).given.get("scenario_file")
            if isinstance(found, dict):
                return {"path": str(found.get("path", "")), "text": str(found.get("text", ""))}
    return {"path": "", "text": ""}


def _module(study: Study) -> Any:
    kind = study.record.kind
    if kind not in KINDS:
        raise InputError(
            Problem(str(study.path), f"is a study of an unknown kind, {kind!r}", "Update kfp-perf.")
        )
    return importlib.import_module(KINDS[kind])
