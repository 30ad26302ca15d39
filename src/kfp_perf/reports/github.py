"""What GitHub Actions shows of a test or a comparison: annotations, and the summary of the step.

Workflow commands are documented at https://docs.github.com/actions/reference/workflow-commands-for-github-actions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_perf.compare import ComparisonVerdict
from kfp_perf.errors import ExitCode, InputError
from kfp_perf.reports.capacity_cases import capacity_document
from kfp_perf.reports.cases import WHOLE_TEST, CaseOutcome, cases_of
from kfp_perf.reports.comparison_words import overall, sentence_of
from kfp_perf.reports.document import complete
from kfp_perf.reports.quantities import count_of
from kfp_perf.result.capacity import KIND as CAPACITY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from kfp_perf.compare import Comparison
    from kfp_perf.result.study import Study

_TITLE = "kfp-perf"
#: Of each level GitHub shows so many annotations a step.
MOST_ANNOTATIONS = 10
#: The most that the summary of a step may hold; GitHub refuses more whole.
MOST_SUMMARY_BYTES = 1024 * 1024
_CUT = b"\n\nThe rest is left out: a summary holds at most 1 MiB a step.\n"
#: What a comparison says of changes for the worse.
_WORSE = frozenset({ComparisonVerdict.SLOWER, ComparisonVerdict.MORE_FAILURES})


class Level(StrEnum):
    """How GitHub shows an annotation; the value is the workflow command."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True)
class Annotation:
    """One annotation of a workflow run; `file` is relative to the repository (empty: none), `line` is in it."""

    level: Level
    title: str
    text: str
    file: str = ""
    line: int | None = None

    def __str__(self) -> str:
        """The workflow command; a message has its `%` and line ends escaped, a property `:` and `,` as well."""
        properties = {"title": self.title}
        if self.file:
            properties |= {"file": self.file, **({"line": str(self.line)} if self.line else {})}
        fields = ",".join(f"{name}={_escaped_property(value)}" for name, value in properties.items())
        return f"::{self.level} {fields}::{_escaped(self.text)}"


def annotations_of_test(document: dict[str, Any], file: str = "") -> list[Annotation]:
    """An error for each case that went wrong, a warning for each warning, or a notice that the test passed."""
    whole, _ = complete(document)
    on = f" on {name}" if (name := whole["target"].get("name")) else ""
    title = f"{whole['name']}{on}: {whole['verdict']['text']}"
    found = [
        Annotation(Level.ERROR, title, f"{_of(case.scenario)}{case.message}", file, case.line)
        for case in cases_of(document)
        if case.went_wrong
    ]
    if not found and whole["verdict"]["exit_code"] == ExitCode.GOOD:
        kept = sum(
            case.metric is not None and case.outcome is CaseOutcome.PASSED for case in cases_of(document)
        )
        text = f"{count_of(len(whole['scenarios']), 'scenario')}; {count_of(kept, 'threshold')} kept."
        found.append(Annotation(Level.NOTICE, title, text, file))
    warnings = [
        *whole["warnings"],
        *(f"{_of(one['name'])}{text}" for one in whole["scenarios"] for text in one["warnings"]),
        *(f"left on the server: {left}" for left in whole["leftovers"]),
    ]
    path = str(whole["scenario_file"]["path"])
    found += [
        Annotation(Level.WARNING, whole["name"], str(text), file, _line_in(str(text), path))
        for text in warnings
    ]
    return limited(found)


def annotations_of_study(study: Study, file: str = "") -> list[Annotation]:
    """An error for each execution of a study that did not pass, or a notice; and why it ended early.

    An error at its line of `file` for each threshold that the study itself judged, and that failed.
    """
    record = study.record
    if record.kind == CAPACITY:
        return annotations_of_test(capacity_document(study))
    found = [Annotation(Level.WARNING, record.name, record.ended)] if record.ended else []
    found += [
        Annotation(
            Level.ERROR,
            f"{record.name}: failed",
            f"{_of(one.get('scenario'))}{one.get('metric')} {one.get('reason')}",
            file,
            one.get("line"),
        )
        for one in record.answer.get("thresholds") or ()
        if not one.get("passed")
    ]
    if record.exit_code == ExitCode.GOOD:
        text = f"{count_of(len(record.counted), 'execution')}."
        return [*found, Annotation(Level.NOTICE, f"{record.name}: passed", text)]
    found += [
        Annotation(
            Level.WARNING if one.warmup else Level.ERROR,
            f"{record.name}: {one.verdict}",
            f"execution {one.number:02}: {reason}",
        )
        for one in record.executions
        if one.exit_code not in {ExitCode.GOOD, None}
        for reason in one.reasons or (one.verdict,)
    ]
    return limited(found)


def annotations_of_error(error: Exception, environment: Mapping[str, str]) -> list[Annotation]:
    """An error for each problem of an input, at its file, or for a test that could not start."""
    problems = error.problems if isinstance(error, InputError) else ()
    found = [
        Annotation(
            Level.ERROR,
            _TITLE,
            str(one),
            relative_to_workspace(one.file, environment),
            None if one.position is None else one.position.line,
        )
        for one in problems
    ]
    return limited(found or [Annotation(Level.ERROR, _TITLE, str(error))])


def annotations_of_comparison(comparison: Comparison, failures: Iterable[str]) -> list[Annotation]:
    """An error for each condition that does not hold; else what became of each primary metric."""
    title = f"{comparison.new.name}: {overall(comparison)}"
    found = [Annotation(Level.ERROR, title, text) for text in failures]
    for one in comparison.primary:
        level = Level.WARNING if one.verdict in _WORSE else Level.NOTICE
        found.append(Annotation(level, title, sentence_of(one, comparison.within)))
    found += [Annotation(Level.WARNING, "Comparison", text) for text in comparison.warnings]
    return limited(found)


def limited(annotations: Iterable[Annotation]) -> list[Annotation]:
    """At most ten of each level, as GitHub shows; the last one says how many are left out."""
    found: list[Annotation] = []
    by_level: dict[Level, list[Annotation]] = {level: [] for level in Level}
    for one in annotations:
        by_level[one.level].append(one)
    for level, group in by_level.items():
        found += group[:MOST_ANNOTATIONS]
        if (beyond := len(group) - MOST_ANNOTATIONS) > 0:
            text = f"and {beyond + 1:,} more, see the summary of the step"
            found[-1] = Annotation(level, group[0].title, text, group[0].file)
    return found


def append_summary(path: Path, markdown: bytes) -> None:
    """Append to the summary of a step, as much as fits. Raises `OSError` where that is not possible."""
    with path.open("ab") as file:
        room = MOST_SUMMARY_BYTES - file.tell()
        file.write(b"".join(_fitting(markdown + b"\n", room)))


def relative_to_workspace(file: str, environment: Mapping[str, str]) -> str:
    """The path of a file in the repository, as annotations name it; empty where it is not in it."""
    workspace = environment.get("GITHUB_WORKSPACE")
    if not workspace or not file:
        return ""
    try:
        found = Path(file).resolve()
        return found.relative_to(Path(workspace).resolve()).as_posix() if found.exists() else ""
    except (OSError, ValueError):
        return ""


def _fitting(markdown: bytes, room: int) -> Iterator[bytes]:
    if len(markdown) <= room:
        yield markdown
        return
    # Whole lines, up to the first heading or fold that would not fit: half a table would spoil what follows.
    kept = markdown[: max(0, room - len(_CUT))]
    ends = [kept.rfind(start) for start in (b"\n#### ", b"\n<details>")]
    if (end := max(ends)) > 0:
        yield kept[:end]
        yield _CUT


def _line_in(text: str, path: str) -> int | None:
    """The line of a warning that begins with a place in the scenario file; None where it does not."""
    found = re.match(rf"{re.escape(path)}:(\d+):\d+: ", text) if path else None
    return int(found[1]) if found else None


def _of(scenario: str | None) -> str:
    return "" if scenario is None or scenario == WHOLE_TEST else f"{scenario}: "


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escaped_property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")
