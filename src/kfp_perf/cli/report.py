"""`kfp-perf report`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kfp_perf.cli.damaged import readable
from kfp_perf.cli.output import standard_output
from kfp_perf.cli.written_reports import write_files

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kfp_perf.result.reader import TestResult


_STANDARD_OUTPUT = Path("-")


class _ReportCommand(click.Command):
    """A command whose help lists the reports that there are, also those of plug-ins given before `--help`."""

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from kfp_perf.engine.plugins import load_plugins
        from kfp_perf.reports import all_reports

        super().format_help_text(ctx, formatter)
        reports = all_reports(load_plugins(ctx.params.get("plugin") or ()).reports)
        with formatter.section("Formats"):
            formatter.write_dl([(name, report.what) for name, report in reports.items()])


@click.command(cls=_ReportCommand)
@click.argument("results", type=click.Path(path_type=Path, readable=False), default=Path("results/latest"))
@click.option("--format", "-f", "name", default="console", show_default=True, help="Which report, see below.")
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    help="File, or folder where the report is several files; - is the standard output.",
)
@click.option(
    "--plugin",
    multiple=True,
    is_eager=True,
    help="Module or Python file with a table REPORTS or SECTIONS of your own; may be given several times.",
)
@click.option(
    "--baseline",
    "-b",
    type=click.Path(path_type=Path, readable=False),
    multiple=True,
    help="Judge thresholds that are relative to a baseline by these results instead.",
)
def report(
    *, results: Path, name: str, output: Path | None, plugin: tuple[str, ...], baseline: tuple[Path, ...]
) -> None:
    """Draw a report of RESULTS, a folder that `kfp-perf run` made, again: of a test, or of a study.

    Without --output, a report that is one text goes to the standard output, any other into RESULTS. A test that
    did not reach its end has a report of what it had written. With --baseline its thresholds are judged again; the
    files of the result stay as they are.
    """
    from kfp_perf.engine.plugins import load_plugins
    from kfp_perf.errors import InputError, Problem
    from kfp_perf.reports import all_reports
    from kfp_perf.reports.console import print_summary
    from kfp_perf.result.reader import TestResult as Result
    from kfp_perf.result.study import is_study

    if is_study(results):
        if baseline:
            what = "the executions of a study have been judged, each by its baseline"
            remedy = f"`kfp-perf compare {results} --baseline {baseline[0]}` compares the study."
            raise InputError(Problem("--baseline", what, remedy))
        _report_study(results, name, output)
        return
    plugins = load_plugins(plugin)
    known = all_reports(plugins.reports)
    if name not in known:
        raise InputError(
            Problem("--format", f"there is no report {name!r}", f"There are: {', '.join(known)}.")
        )
    result = Result.open(results)
    if not result.document:
        result = _computed(result)
    if baseline:
        with readable(results):
            result = _judged_again(result, baseline)
    if name == "console" and output is None:
        # In colours, and as wide as the terminal.
        with readable(results), standard_output():
            print_summary(result, sys.stdout)
        return
    with readable(results):
        files = known[name].draw(result, plugins.sections)
    if output is None and not known[name].is_text:
        output = results if len(files) == 1 else results / name
    _write(files, output or _STANDARD_OUTPUT)


def _report_study(results: Path, name: str, output: Path | None) -> None:
    from kfp_perf.errors import InputError, Problem
    from kfp_perf.reports.study_reports import FORMATS, print_study
    from kfp_perf.result.study import Study

    if name not in FORMATS:
        what = f"there is no report {name!r} of a study"
        raise InputError(Problem("--format", what, f"There are: {', '.join(FORMATS)}."))
    with readable(results):
        study = Study.open(results)
        if name == "console" and output is None:
            with standard_output():
                print_study(study, sys.stdout)
            return
        files = FORMATS[name](study)
    _write(files, output or (results if name == "html" else _STANDARD_OUTPUT))


def _computed(result: TestResult) -> TestResult:
    """The result of a test that did not reach its end, from what it had written."""
    from kfp_perf.execution.document import result_document
    from kfp_perf.reports.left_behind import cleanup_command, stays

    computed = type(result)(result.path, result_document(result))
    until = computed.document["complete_until"]
    what = (
        "the test has no result.json; its files are complete"
        if until is None
        else f"the test did not reach its end; its files are complete until {until}"
    )
    click.echo(f"kfp-perf: {what}", err=True)
    if left := stays(computed):
        click.echo(f"kfp-perf: {left}; delete with: {cleanup_command(computed)}", err=True)
    return computed


def _judged_again(result: TestResult, paths: tuple[Path, ...]) -> TestResult:
    """The result with its thresholds judged by another baseline."""
    from kfp_perf.compare.baseline import read_baseline
    from kfp_perf.compare.comparability import refuse_the_same
    from kfp_perf.compare.compared_execution import ComparedExecution
    from kfp_perf.compare.sides import Side
    from kfp_perf.errors import InputError, Problem
    from kfp_perf.execution.document import result_document
    from kfp_perf.execution.given import given_thresholds, with_baseline
    from kfp_perf.result.timestamps import epoch_of

    given, document = result.given, result.document
    found = read_baseline(paths, given_thresholds(given))
    if found is None:
        what = "has no threshold that is relative to a baseline"
        remedy = f"`kfp-perf compare {paths[0]} {result.path}` compares the two."
        raise InputError(Problem(str(result.path), what, remedy))
    refuse_the_same(found[0], Side(str(result.path), (ComparedExecution(result.path, document, given),)))
    again = result_document(
        result,
        document.get("total"),
        epoch_of(document.get("finished")),
        given=with_baseline(given, *found),
    )
    return type(result)(result.path, again)


def _write(files: Mapping[str, bytes], output: Path) -> None:
    from kfp_perf.errors import InputError, Problem

    if output == _STANDARD_OUTPUT:
        if len(files) != 1:
            raise InputError(Problem("--output", "the report is several files", "Name a folder."))
        with standard_output():
            sys.stdout.buffer.write(*files.values())
        return
    paths = write_files(files, output, "Name another place with --output.")
    with standard_output():
        click.echo("\n".join(map(str, paths)))
