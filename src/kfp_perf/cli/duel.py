"""`kfp-perf duel`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kfp_perf.cli.baseline import undecided_option, with_undecided
from kfp_perf.cli.compare import condition_options, report_failures
from kfp_perf.cli.github import report_to_github
from kfp_perf.cli.repetition import PAUSE_SECONDS, no_warmup_option, pause_option, run_and_show
from kfp_perf.cli.scenario import scenario_options
from kfp_perf.cli.target import settings_options
from kfp_perf.cli.written_reports import report_option, wanted_reports
from kfp_perf.errors import ExitCode

if TYPE_CHECKING:
    from kfp_perf.config import TestConfig
    from kfp_perf.studies import DuelTarget

_LABELLED = re.compile(r"([\w.-]{1,40})=(.+)", re.ASCII)
_EMULATOR = re.compile(r"emulator(?::(.+))?")
_DEFAULT_PROFILE = "fast"
_EXAMPLE = "kfp-perf duel smoke.json --target old=http://localhost:8888 --target new=http://localhost:8889"


@click.command()
@click.argument("scenario_file", required=False)
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="LABEL=TARGET",
    help="The baseline, then the new target: a URL, a name in the targets file, or emulator:PROFILE.",
)
@click.option("--aa", is_flag=True, help="Compare one --target with itself, to see the noise.")
@click.option(
    "--repeat",
    type=click.IntRange(1, 1000),
    default=5,
    show_default=True,
    metavar="N",
    help="Executions on each target.",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Seed of the order of targets in each pair."
)
@pause_option
@no_warmup_option
@condition_options
@undecided_option
@click.option(
    "--results", type=click.Path(path_type=Path), help="Where the folder of the study is made.  [results]"
)
@click.option("--plugin", multiple=True, metavar="MODULE", help="Load runners and collectors of your own.")
@click.option("--yes", "-y", is_flag=True, help="Confirm a `prefill` of more than 10,000 rows.")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
@report_option
@scenario_options
@settings_options
def duel(
    *,
    config: TestConfig,
    given: dict[str, Any],
    scenario_file: str | None,
    targets: tuple[str, ...],
    aa: bool,
    repeat: int,
    seed: int,
    pause: float | None,
    no_warmup: bool,
    within: float,
    regression: float | None,
    not_slower: float | None,
    undecided: str | None,
    results: Path | None,
    plugin: tuple[str, ...],
    yes: bool,
    report: tuple[str, ...],
    **options: Any,
) -> int:
    """Run SCENARIO_FILE on two targets in turn, and say whether the second one is slower than the first.

    Which target is first is drawn for each pair of executions, so that what drifts meanwhile is the same for both.
    With --aa a target is compared with itself: that shows which changes could be found on your system. The first
    target is the baseline of thresholds such as "<= baseline + 10%", which are judged by the pairs.

    Example: kfp-perf duel mine.json --target old=http://localhost:8888 --target new=http://localhost:8889

    Exit codes: 0 compared, 1 a threshold or a required condition does not hold, 2 wrong input, 3 a target is not
    reachable or not healthy, 4 interrupted, 5 invalid.
    """
    from kfp_perf.errors import InputError
    from kfp_perf.reports.duel_story import comparison_of
    from kfp_perf.reports.github import annotations_of_comparison
    from kfp_perf.reports.study_reports import FORMATS as STUDY_FORMATS
    from kfp_perf.studies import Duel

    wanted = wanted_reports(report, STUDY_FORMATS)
    if results is not None:
        config = config.model_copy(update={"results_folder": results})
    baseline, new = _sides(targets, config, given, aa=aa)
    if pause is None:
        pause = 0.0 if baseline.emulator and new.emulator else PAUSE_SECONDS
    config = with_undecided(config, undecided)
    design = Duel(
        baseline,
        new,
        pairs=repeat,
        seed=seed,
        warmup=not no_warmup,
        within=within,
        same_target=aa,
        accept_undecided=config.undecided == "pass",
    )
    study = run_and_show(
        design,
        scenario_file,
        config,
        pause=pause,
        emulator="",
        plugins=plugin,
        assume_yes=yes,
        reports=wanted,
        targets=[side.config for side in (baseline, new) if not side.emulator],
        **options,
    )
    code = ExitCode(study.record.exit_code or 0)
    if regression is not None or not_slower is not None:
        try:
            comparison = comparison_of(study)
            if failures := report_failures(comparison, regression, not_slower):
                report_to_github(lambda: annotations_of_comparison(comparison, failures))
                code = ExitCode.worst((code, ExitCode.FAILED))
        except InputError as error:
            click.echo(f"kfp-perf: failed: there is no comparison: {error}", err=True)
            code = ExitCode.worst((code, ExitCode.FAILED))
    return int(code)


def _sides(
    targets: tuple[str, ...], config: TestConfig, given: dict[str, Any], *, aa: bool
) -> tuple[DuelTarget, DuelTarget]:
    """The baseline and the new target. Raises `UsageError`, and `InputError` for a target that is not known."""
    from dataclasses import replace

    context = click.get_current_context()
    wanted = 1 if aa else 2
    if len(targets) != wanted:
        needs = "one --target" if aa else "two --target, the baseline and the new one"
        example = "" if aa else f" For example: {_EXAMPLE}"
        raise click.UsageError(
            f"{'--aa' if aa else 'A duel'} needs {needs}, got {len(targets)}.{example}", context
        )
    sides = [_side(text, config, given, context) for text in targets]
    if aa:
        (one,) = sides
        return replace(one, label=f"{one.label}1"), replace(one, label=f"{one.label}2")
    baseline, new = sides
    if baseline.label == new.label:
        raise click.UsageError(
            f"Two targets are called {baseline.label}: give each a label of its own.", context
        )
    if not baseline.emulator and baseline.config.KFP_url == new.config.KFP_url:
        what = f"{baseline.label} and {new.label} are both {new.config.KFP_url}"
        raise click.UsageError(f"{what}: name two targets, or one with --aa.", context)
    return baseline, new


def _side(text: str, config: TestConfig, given: dict[str, Any], context: click.Context) -> DuelTarget:
    from kfp_perf.studies import DuelTarget
    from kfp_perf.targets import resolve_target

    labelled = _LABELLED.fullmatch(text.strip())
    if labelled is None:
        raise click.UsageError(f"--target {text!r} has no label: write it as A=http://host:8888.", context)
    label, target = labelled.groups()
    if emulated := _EMULATOR.fullmatch(target):
        return DuelTarget(label, config, emulated[1] or _DEFAULT_PROFILE)
    return DuelTarget(label, resolve_target(target, config, given))
