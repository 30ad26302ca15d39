"""`kfp-perf report`."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command()
@click.argument("results", type=click.Path(path_type=Path), default=Path("results/latest"))
def report(*, results: Path) -> None:
    """Draw the summary of RESULTS, a folder that `kfp-perf run` made, again."""
    from kfp_perf.reports.console import print_summary
    from kfp_perf.result.folder import TestResult

    print_summary(TestResult.open(results), sys.stdout)
