"""The course of a search: its plateaus as they were measured, and what follows."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from kfp_perf.errors import ExitCode
from kfp_perf.result.reader import TestResult
from kfp_perf.studies.capacity.plateau import PlannedPlateau
from kfp_perf.studies.capacity.reading import plateau_of, read_plateau
from kfp_perf.studies.capacity.search import SearchEnd, next_step

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from kfp_perf.result.capacity import PlateauRecord
    from kfp_perf.result.study import ExecutionRecord
    from kfp_perf.studies.capacity.plateau import Plateau
    from kfp_perf.studies.capacity.scenarios import Searched
    from kfp_perf.studies.capacity.search import SearchLimits
    from kfp_perf.studies.study import Executed

UNUSABLE = frozenset({ExitCode.INTERRUPTED, ExitCode.TARGET, ExitCode.BAD_INPUT})
"""Outcomes of an execution that say nothing of its load."""


class Course(NamedTuple):
    """The plateaus that count, the records of all that ended, and the next step, or how the search ended."""

    plateaus: tuple[Plateau, ...]
    records: tuple[PlateauRecord, ...]
    following: PlannedPlateau | SearchEnd


def course_of(limits: SearchLimits, searched: Searched, done: Sequence[Executed]) -> Course:
    """Follow the search: each step is a function of the plateaus before it. Invalid ones are measured again."""
    plateaus: list[Plateau] = []
    records: list[PlateauRecord] = []
    following = next_step(limits, plateaus)
    for one in done:
        if not isinstance(following, PlannedPlateau) or one.exit_code in UNUSABLE:
            break
        record = _read(one.result.path, one.record, searched, following)
        if record is None:
            return Course(tuple(plateaus), tuple(records), SearchEnd.NO_LOAD)
        records.append(record)
        if not record.invalid:
            plateaus.append(plateau_of(record, following))
            following = next_step(limits, plateaus)
    return Course(tuple(plateaus), tuple(records), following)


@lru_cache(maxsize=64)
def _read(
    path: Path, record: ExecutionRecord, searched: Searched, step: PlannedPlateau
) -> PlateauRecord | None:
    """Read a result once: the course is asked for before and after each execution, and results do not change."""
    return read_plateau(TestResult.open(path), record, searched, step)
