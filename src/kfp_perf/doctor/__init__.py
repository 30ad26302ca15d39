"""Diagnosis of a target: checks in order, from its name to the permission to create."""

from kfp_perf.doctor.checks import QUICK_SECONDS, check_quickly, examine
from kfp_perf.doctor.finding import Finding, Status

__all__ = ["QUICK_SECONDS", "Finding", "Status", "check_quickly", "examine"]
