"""Studies: several executions of a test, run one after the other by a schedule, with one answer."""

from kfp_perf.studies.repeat import Repetition
from kfp_perf.studies.session import run_schedule
from kfp_perf.studies.study import Executed, PlannedExecution, Schedule, StudyAbandoned, run_study, worst_of

__all__ = [
    "Executed",
    "PlannedExecution",
    "Repetition",
    "Schedule",
    "StudyAbandoned",
    "run_schedule",
    "run_study",
    "worst_of",
]
