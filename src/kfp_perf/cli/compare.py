"""`kfp-perf compare`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kfp_perf.cli.damaged import readable
from kfp_perf.cli.github import report_to_github
from kfp_perf.cli.output import standard_output
from kfp_perf.cli.quantities import percentage
from kfp_perf.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_perf.compare import Comparison

_STANDARD_OUTPUT = Path("-")


_CONDITIONS = (
    click.option(
        "--within",
        callback=percentage,
        default="5%",
        show_default=True,
        help="Largest change that counts as the same.",
    ),
    click.option(
        "--fail-on-regression",
        "regression",
        callback=percentage,
        metavar="PERCENT",
        help="Exit with 1 if a primary metric is slower by more than this, or more fails.",
    ),
    click.option(
        "--require-not-slower",
        "not_slower",
        callback=percentage,
        metavar="PERCENT",
        help="Exit with 1 unless it is certain that no primary metric is slower by this or more.",
    ),
)


def condition_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags that decide the verdict to a command, which gets `within`, `regression` and `not_slower`."""
    for option in reversed(_CONDITIONS):
        function = option(function)
    return function


@click.command()
@click.argument("results", type=click.Path(path_type=Path, readable=False), nargs=-1)
@click.option(
    "--baseline",
    "-b",
    type=click.Path(path_type=Path, readable=False),
    multiple=True,
    help="Results to compare with; may be given several times. RESULTS are then all new ones.",
)
@condition_options
@click.option("--no-warmup", is_flag=True, help="Count the first execution of studies, too.")
@click.option(
    "--format",
    "-f",
    "name",
    type=click.Choice(["console", "markdown", "json", "html"]),
    default="console",
    show_default=True,
    help="How the comparison is written.",
)
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), help="File to write to; - is standard output."
)
def compare(
    *,
    results: tuple[Path, ...],
    baseline: tuple[Path, ...],
    within: float,
    regression: float | None,
    not_slower: float | None,
    no_warmup: bool,
    name: str,
    output: Path | None,
) -> int:
    """Compare the executions in two result folders, and say whether the second one is slower than the first.

    RESULTS are two folders, the baseline and the new results; or new results only, with --baseline. A folder is
    one result, a study, or a folder of several results: each result in it is one execution. At least three
    executions a side are needed, five are advised.

    Exit codes: 0 compared, 1 a required condition does not hold, 2 wrong input.
    """
    from kfp_perf.compare import compare_sides, read_side

    if not results or (not baseline and len(results) != 2):
        raise click.UsageError(
            "Name two folders, the baseline and the new results: kfp-perf compare old/ new/. "
            "With --baseline FOLDER, name new results only. `kfp-perf list` lists the results that there are.",
            click.get_current_context(),
        )
    before, after = (baseline, results) if baseline else (results[:1], results[1:])
    with readable(*before, *after):
        comparison = compare_sides(
            read_side(before, count_warmup=no_warmup),
            read_side(after, count_warmup=no_warmup),
            within=within,
        )
    _write(comparison, name, output)
    failures = report_failures(comparison, regression, not_slower)
    _to_github(comparison, failures)
    return int(ExitCode.FAILED if failures else ExitCode.GOOD)


def report_failures(comparison: Comparison, regression: float | None, not_slower: float | None) -> list[str]:
    """Print which required conditions do not hold, and return them."""
    failures = [] if regression is None else comparison.regressions(regression)
    failures += [] if not_slower is None else comparison.not_excluded(not_slower)
    failures = list(dict.fromkeys(failures))
    for failure in failures:
        click.echo(f"kfp-perf: failed: {failure}", err=True)
    return failures


def _write(comparison: Comparison, name: str, output: Path | None) -> None:
    from kfp_perf.errors import InputError, Problem
    from kfp_perf.reports.comparison_formats import FORMATS, print_comparison
    from kfp_perf.result.whole_file import write_whole

    if output is None and name == "console":
        with standard_output():
            print_comparison(comparison, sys.stdout)
        return
    if output is None and name == "html":
        output = Path("comparison.html")
    content = FORMATS[name](comparison)
    if output in {None, _STANDARD_OUTPUT}:
        with standard_output():
            sys.stdout.buffer.write(content)
        return
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        write_whole(output, content)
    except OSError as error:
        problem = Problem(str(output), f"cannot be written: {error.strerror}", "Name another place.")
        raise InputError(problem) from error
    with standard_output():
        click.echo(str(output))


def _to_github(comparison: Comparison, failures: list[str]) -> None:
    from kfp_perf.reports.comparison_formats import draw_markdown
    from kfp_perf.reports.github import annotations_of_comparison

    report_to_github(
        lambda: annotations_of_comparison(comparison, failures), lambda: draw_markdown(comparison)
    )
