"""The plan of a test: all that is known before the first request, as a value."""

from kfp_perf.plan.limits import Limits, most_at_once, read_limits
from kfp_perf.plan.plan import Plan, make_plan
from kfp_perf.plan.scenario_files import find_scenario_file, pipeline_folders

__all__ = [
    "Limits",
    "Plan",
    "find_scenario_file",
    "make_plan",
    "most_at_once",
    "pipeline_folders",
    "read_limits",
]
