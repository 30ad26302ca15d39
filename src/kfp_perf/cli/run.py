"""`kfp-perf run`."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from kfp_perf.cli.baseline import baseline_options
from kfp_perf.cli.ending import signals_ignored
from kfp_perf.cli.github import report_to_github
from kfp_perf.cli.output import standard_output
from kfp_perf.cli.repetition import repetition_options, run_repetition
from kfp_perf.cli.scenario import scenario_options
from kfp_perf.cli.target import target_options
from kfp_perf.cli.written_reports import report_option, wanted_reports, write_wanted
from kfp_perf.errors import ExitCode, InputError
from kfp_perf.streams import flush_streams

if TYPE_CHECKING:
    from kfp_perf.cli.repetition import RepetitionFlags
    from kfp_perf.cli.written_reports import WantedReport
    from kfp_perf.config import TestConfig
    from kfp_perf.result.reader import TestResult


class _RunCommand(click.Command):
    """A command whose help lists the built-in scenario files."""

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from kfp_perf.catalog import SCENARIOS

        super().format_help_text(ctx, formatter)
        with formatter.section("Built-in scenario files"), formatter.indentation():
            formatter.write_text(", ".join(sorted(file.name for file in SCENARIOS.glob("*.json"))))


@click.command(cls=_RunCommand)
@click.argument("scenario_file", required=False)
@click.option("--emulator", is_flag=True, help="Test the built-in emulator instead of a KFP API server.")
@click.option(
    "--emulator-profile",
    default="fast",
    show_default=True,
    help="Timing profile of the emulator; see `kfp-perf emulator --profiles`.",
)
@click.option("--emulator-seed", type=int, default=0, help="Seed of the emulator's timing.")
@click.option(
    "--results", type=click.Path(path_type=Path), help="Where the result folder is made.  [results]"
)
@click.option("--keep", is_flag=True, help="Delete nothing that the test created.")
@click.option("--keep-failed", is_flag=True, help="Do not delete failed runs, and what they need.")
@click.option("--plugin", multiple=True, metavar="MODULE", help="Load runners and collectors of your own.")
@click.option("--yes", "-y", is_flag=True, help="Confirm a `prefill` of more than 10,000 rows.")
@click.option("--ui", is_flag=True, help="Serve a live page to browsers on this machine.")
@click.option("--ui-host", default="127.0.0.1", help="Address of the live page.  [127.0.0.1]")
@click.option("--ui-port", type=click.IntRange(0, 65535), default=0, help="Its port.  [a free one]")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
@repetition_options
@report_option
@scenario_options
@target_options
@baseline_options
def run(
    *,
    config: TestConfig,
    scenario_file: str | None,
    emulator: bool,
    emulator_profile: str,
    emulator_seed: int,
    results: Path | None,
    keep: bool,
    keep_failed: bool,
    plugin: tuple[str, ...],
    yes: bool,
    ui: bool,
    ui_host: str,
    ui_port: int,
    quiet: bool,
    report: tuple[str, ...],
    overrides: tuple[str, ...],
    name: str | None,
    repetition: RepetitionFlags | None,
) -> int:
    """Run the scenarios of SCENARIO_FILE, and write the result into a new folder.

    SCENARIO_FILE is a path, or the name of a built-in file; SCENARIO_FILE_NAME, or smoke.json, if not given. With
    --repeat or --until-stable it runs several times, and the folder is a study: `kfp-perf compare` reads it as one
    side.

    Exit codes: 0 passed, 1 failed, 2 wrong input, 3 target not reachable or not healthy, 4 interrupted, 5 invalid.
    """
    from kfp_perf.execution import TestFailed, run_test

    refuse_contradictions()
    wanted = _wanted(report, plugin, repetition)
    changes: dict[str, Any] = {}
    if results is not None:
        changes["results_folder"] = results
    if keep or keep_failed:
        changes["keep"] = "all" if keep else "failed"
    config = config.model_copy(update=changes)
    options: dict[str, Any] = {
        "plugins": plugin,
        "emulator": emulator_profile if emulator else "",
        "assume_yes": yes,
        "quiet": quiet,
        "page": ui,
        "page_address": (ui_host, ui_port),
        "name": name,
        "overrides": overrides,
    }
    if repetition is not None:
        return run_repetition(
            repetition,
            scenario_file,
            config,
            emulator_seed=emulator_seed if emulator else None,
            reports=wanted,
            **options,
        )
    code = ExitCode.GOOD
    try:
        result = run_test(scenario_file, config, emulator_seed=emulator_seed, **options)
    except TestFailed as failed:
        result, code = failed.result, failed.exit_code
        abandoned = failed.abandoned
    else:
        abandoned = False
    with signals_ignored():
        for step in (_show, lambda result: _write(wanted, result, plugin), _to_github):
            try:
                step(result)
            except InputError as error:  # the exit code stays that of the test
                with contextlib.suppress(OSError):  # the terminal may be closed
                    click.echo(f"kfp-perf: {error}", err=True)
    if abandoned:
        # Threads of the scenarios still wait for the server; the user asked not to wait.
        flush_streams()
        os._exit(code)
    return int(code)


#: Flags of a real target; the emulator is on this machine and has no users.
_OF_A_TARGET = ("target", "host", "port", "kubeflow")
_OF_THE_PAGE = ("ui_host", "ui_port")
_OF_THE_EMULATOR = ("emulator_profile", "emulator_seed")


def _wanted(
    texts: tuple[str, ...], plugins: tuple[str, ...], repetition: RepetitionFlags | None
) -> tuple[WantedReport, ...]:
    """The reports that were asked for: of the test, or of the study. Raises `InputError`."""
    if not texts:
        return ()
    if repetition is not None:
        from kfp_perf.reports.study_reports import FORMATS

        return wanted_reports(texts, FORMATS)
    from kfp_perf.engine.plugins import load_plugins
    from kfp_perf.reports import all_reports

    return wanted_reports(texts, all_reports(load_plugins(plugins).reports))


def _write(wanted: tuple[WantedReport, ...], result: TestResult, plugins: tuple[str, ...]) -> None:
    if not wanted:
        return
    from kfp_perf.engine.plugins import load_plugins
    from kfp_perf.reports import all_reports

    loaded = load_plugins(plugins)
    known = all_reports(loaded.reports)
    write_wanted(wanted, lambda name: known[name].draw(result, loaded.sections))


def refuse_contradictions() -> None:
    """Raise `UsageError` for flags that exclude each other or need another one."""
    context = click.get_current_context()
    given = {
        name: option
        for option in context.command.params
        if (name := option.name) and context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    together = [("keep", "keep_failed"), *(("emulator", name) for name in _OF_A_TARGET)]
    for one, other in together:
        if one in given and other in given:
            flags = f"{given[one].opts[0]} and {'/'.join(given[other].opts + given[other].secondary_opts)}"
            raise click.UsageError(f"{flags} contradict each other: leave one of them out.", context)
    for name in _OF_THE_EMULATOR:
        if name in given and "emulator" not in given:
            raise click.UsageError(f"{given[name].opts[0]} needs --emulator.", context)
    for name in _OF_THE_PAGE:
        if name in given and "ui" not in given:
            raise click.UsageError(f"{given[name].opts[0]} needs --ui.", context)


def _show(result: TestResult) -> None:
    from kfp_perf.reports.console import print_summary
    from kfp_perf.result.files import RESULT_FILE

    with standard_output():
        print_summary(result, sys.stdout)
        report = result.path / "report.html"
        if report.exists():
            click.echo(f"Report  {report}")
        elif (result.path / RESULT_FILE).exists():
            click.echo(f"Draw the report with: kfp-perf report {shlex.quote(str(result.path))} -f html")


def _to_github(result: TestResult) -> None:
    from kfp_perf.reports.github import annotations_of_test, relative_to_workspace
    from kfp_perf.reports.markdown import draw_markdown

    file = str(result.document.get("scenario_file", {}).get("path", ""))
    report_to_github(
        lambda: annotations_of_test(result.document, relative_to_workspace(file, os.environ)),
        lambda: draw_markdown(result)["report.md"],
    )
