"""Why a target does or does not work: one check after the other, from its name to the right to create."""

from kfp_perf.doctor.checks import check_quickly, examine
from kfp_perf.doctor.finding import Finding, Status

__all__ = ["Finding", "Status", "check_quickly", "examine"]
