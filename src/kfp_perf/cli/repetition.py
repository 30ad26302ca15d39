"""The flags of `kfp-perf run` that repeat a test, and how a study is run and shown."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from kfp_perf.cli.ending import signals_ignored
from kfp_perf.cli.github import report_to_github
from kfp_perf.cli.output import standard_output
from kfp_perf.cli.quantities import percentage, seconds
from kfp_perf.cli.written_reports import write_wanted
from kfp_perf.errors import ExitCode, InputError
from kfp_perf.streams import flush_streams

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kfp_perf.cli.written_reports import WantedReport
    from kfp_perf.config import TestConfig
    from kfp_perf.reports.github import Annotation
    from kfp_perf.result.study import Study
    from kfp_perf.studies import StudyDesign

#: The pods of deleted runs are terminated within 30 s, Kubernetes' default grace period.
PAUSE_SECONDS = 30.0


class RepetitionFlags(NamedTuple):
    """What was given: the number of executions (None: not given), the pause, and when to end earlier."""

    executions: int | None
    pause_seconds: float | None
    until_stable: float | None
    warmup: bool


pause_option = click.option(
    "--pause",
    callback=seconds,
    metavar="TIME",
    help="Time between two executions, in which pods end.  [30s; 0 with --emulator]",
)
no_warmup_option = click.option(
    "--no-warmup", is_flag=True, help="Leave out the warm-up, a first execution that does not count."
)

_OPTIONS = (
    click.option(
        "--repeat", type=click.IntRange(1, 1000), metavar="N", help="Run the test N times, as a study."
    ),
    click.option(
        "--until-stable",
        callback=percentage,
        metavar="PERCENT",
        help="Repeat until the interval of each primary metric is within ± this, --repeat (20) times at most.",
    ),
    pause_option,
    no_warmup_option,
)


def repetition_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags to a command, which gets them as `repetition`: None where the test is run once."""

    @wraps(function)
    def with_repetition(
        *, repeat: int | None, until_stable: float | None, pause: float | None, no_warmup: bool, **flags: Any
    ) -> Any:
        wanted = repeat is not None or until_stable is not None
        for flag, given in (("--pause", pause is not None), ("--no-warmup", no_warmup)):
            if given and not wanted:
                raise click.UsageError(
                    f"{flag} needs --repeat or --until-stable.", click.get_current_context()
                )
        repetition = RepetitionFlags(repeat, pause, until_stable, warmup=not no_warmup) if wanted else None
        return function(repetition=repetition, **flags)

    for option in reversed(_OPTIONS):
        with_repetition = option(with_repetition)
    return with_repetition


def run_repetition(
    flags: RepetitionFlags,
    scenario_file: str | None,
    config: TestConfig,
    *,
    emulator_seed: int | None,
    **options: Any,
) -> int:
    """Run a test several times, show the study, and return its exit code."""
    from kfp_perf.engine import load_plugins
    from kfp_perf.metrics import METRICS
    from kfp_perf.metrics.registry import Registry
    from kfp_perf.studies import MOST_UNTIL_STABLE, Repetition

    registry = Registry({**METRICS, **load_plugins(options["plugins"]).collectors})
    design = Repetition(
        executions=flags.executions or MOST_UNTIL_STABLE,
        warmup=flags.warmup,
        until_stable=flags.until_stable,
        first_seed=emulator_seed,
        registry=registry,
        accept_undecided=config.undecided == "pass",
    )
    study = run_and_show(design, scenario_file, config, pause=flags.pause_seconds, **options)
    return study.record.exit_code or 0


def run_and_show(
    design: StudyDesign,
    scenario_file: str | None,
    config: TestConfig,
    *,
    pause: float | None,
    emulator: str,
    quiet: bool,
    reports: Sequence[WantedReport] = (),
    **options: Any,
) -> Study:
    """Run a study, print its report, write the `reports` that are wanted, and return it.

    `pause`: None is the default of the target. Ends the process where the user did not wait for scenarios.
    """
    from kfp_perf.reports.study_reports import FORMATS
    from kfp_perf.studies import StudyAbandoned, run_study

    def announce(line: str) -> None:
        if not quiet:
            click.echo(f"\n== {line} ==", err=True)

    abandoned = False
    try:
        study = run_study(
            design,
            scenario_file,
            config,
            emulator=emulator,
            quiet=quiet,
            pause_seconds=pause if pause is not None else 0.0 if emulator else PAUSE_SECONDS,
            announce=announce,
            **options,
        )
    except StudyAbandoned as left:
        study, abandoned = left.study, True
    with signals_ignored():
        for step in (show_study, lambda study: write_wanted(reports, lambda name: FORMATS[name](study))):
            try:
                step(study)
            except InputError as error:  # the exit code stays that of the study
                with contextlib.suppress(OSError):  # the terminal may be closed
                    click.echo(f"kfp-perf: {error}", err=True)
        _to_github(study)
    if abandoned:
        # Threads of the scenarios still wait for the server; the user asked not to wait.
        flush_streams()
        os._exit(study.record.exit_code or ExitCode.GOOD)
    return study


def show_study(study: Study) -> None:
    """Print the report of a study, and where its page is."""
    from kfp_perf.reports.study_reports import REPORT_FILE, print_study

    with standard_output():
        print_study(study, sys.stdout)
        report = study.path / REPORT_FILE
        click.echo(
            f"Report  {report}"
            if report.exists()
            else f"Draw the report with: kfp-perf report {shlex.quote(str(study.path))} -f html"
        )


def _to_github(study: Study) -> None:
    from kfp_perf.reports.github import annotations_of_study, relative_to_workspace
    from kfp_perf.reports.study_reports import draw_markdown, scenario_file_of

    def annotations() -> list[Annotation]:
        file = relative_to_workspace(scenario_file_of(study)["path"], os.environ)
        return annotations_of_study(study, file)

    report_to_github(annotations, lambda: draw_markdown(study)["report.md"])
