"""`kfp-perf validate`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from kfp_perf.cli.baseline import baseline_options
from kfp_perf.cli.output import standard_output
from kfp_perf.cli.scenario import scenario_options
from kfp_perf.cli.target import target_options

if TYPE_CHECKING:
    from kfp_perf.config import TestConfig


@click.command()
@click.argument("scenario_file", required=False)
@click.option("--plugin", multiple=True, metavar="MODULE", help="Load runners and collectors of your own.")
@scenario_options
@target_options
@baseline_options
def validate(
    *,
    config: TestConfig,
    scenario_file: str | None,
    plugin: tuple[str, ...],
    overrides: tuple[str, ...],
    name: str | None,
) -> None:
    """Check SCENARIO_FILE: print its timeline, or everything that is wrong with it.

    Nothing is started. The target is asked only which evidence of what it does can be collected beside a test. With
    --baseline it says which bounds follow from that, and whether the baseline fits.
    """
    from kfp_perf.engine.plugins import load_plugins
    from kfp_perf.evidence.survey import survey
    from kfp_perf.execution.session import baseline_lines
    from kfp_perf.health import raise_open_files_limit
    from kfp_perf.pacing import run_in_own_loop
    from kfp_perf.plan import make_plan
    from kfp_perf.reports.timeline import print_timeline

    raise_open_files_limit()  # as `run` does
    plugins = load_plugins(plugin)
    plan = make_plan(
        scenario_file or config.SCENARIO_FILE_NAME,
        config,
        extra_modes=plugins.runners,
        name=name,
        overrides=overrides,
    )
    with standard_output():
        print_timeline(plan, sys.stdout)
        for change in plan.resolved:
            click.echo(change)
        for line in baseline_lines(plan, config):
            click.echo(f"baseline: {line}")
        for source in run_in_own_loop(survey(config)):
            click.echo(f"evidence: {source}")
