"""Studies: several executions of a test, run one after the other by a design, with one answer."""

from kfp_perf.studies.duel import Duel, DuelTarget
from kfp_perf.studies.repeat import MOST_UNTIL_STABLE, Repetition
from kfp_perf.studies.session import run_study
from kfp_perf.studies.study import (
    Executed,
    PlannedExecution,
    StudyAbandoned,
    StudyDesign,
    run_executions,
    worst_of,
)

__all__ = [
    "MOST_UNTIL_STABLE",
    "Duel",
    "DuelTarget",
    "Executed",
    "PlannedExecution",
    "Repetition",
    "StudyAbandoned",
    "StudyDesign",
    "run_executions",
    "run_study",
    "worst_of",
]
