"""`kfp-perf capacity`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kfp_perf.cli.quantities import percentage, seconds
from kfp_perf.cli.repetition import PAUSE_SECONDS, pause_option, run_and_show
from kfp_perf.cli.run import refuse_contradictions
from kfp_perf.cli.scenario import scenario_options
from kfp_perf.cli.target import target_options
from kfp_perf.cli.written_reports import report_option, wanted_reports

if TYPE_CHECKING:
    from kfp_perf.config import TestConfig
    from kfp_perf.plan import Plan
    from kfp_perf.studies.capacity import Searched, SearchLimits

_DELETE_SECONDS = 0.2
"""Of one run on KFP, whose Kubernetes client makes five requests a second."""
_EMULATED_RUN_SECONDS = 3.0
_LIGHT_SECONDS = {True: 120.0, False: 15.0}
"""How long the first load of a search over slots lasts: runs take a minute, reads milliseconds."""


@click.command()
@click.argument("scenario_file", required=False)
@click.option("--scenario", "searched_name", metavar="NAME", help="The scenario whose load is varied.")
@click.option("--from", "first", metavar="RATE", help="The light load to begin with.  [1/8 of the file's]")
@click.option("--to", "highest", metavar="RATE", help="The highest load to try.  [none]")
@click.option(
    "--precision",
    callback=percentage,
    default="10%",
    show_default=True,
    help="How close to the answer the plateaus on both sides are.",
)
@click.option(
    "--max-duration", "longest", callback=seconds, metavar="TIME", help="Start no plateau beyond it."
)
@click.option("--confirm", is_flag=True, help="Measure both ends of the answer twice.")
@pause_option
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
@click.option("--plugin", multiple=True, metavar="MODULE", help="Load runners and collectors of your own.")
@click.option("--yes", "-y", is_flag=True, help="Confirm a `prefill` of more than 10,000 rows.")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
@report_option
@scenario_options
@target_options
def capacity(
    *,
    config: TestConfig,
    scenario_file: str | None,
    searched_name: str | None,
    first: str | None,
    highest: str | None,
    precision: float,
    longest: float | None,
    confirm: bool,
    pause: float | None,
    emulator: bool,
    emulator_profile: str,
    emulator_seed: int,
    results: Path | None,
    plugin: tuple[str, ...],
    yes: bool,
    quiet: bool,
    report: tuple[str, ...],
    overrides: tuple[str, ...],
    name: str | None,
) -> int:
    """Find the highest load that the installation carries, and what gives way beyond it.

    One scenario of SCENARIO_FILE is varied: its arrivalRate, or its numTimes where a threshold of yours judges
    it. All others run beside it as they are. A load is carried if the backlog does not grow and all thresholds
    are kept.

    Exit codes: 0 found, 1 a bound on capacity.rate is not kept or no load held, 2 wrong input, 3 target not
    reachable or not healthy, 4 interrupted, 5 invalid.
    """
    from kfp_perf.engine import load_plugins
    from kfp_perf.metrics import METRICS
    from kfp_perf.metrics.registry import Registry
    from kfp_perf.plan import make_plan
    from kfp_perf.reports.study_reports import FORMATS
    from kfp_perf.studies.capacity import CapacitySearch, find_searched

    refuse_contradictions()
    wanted = wanted_reports(report, FORMATS)
    if results is not None:
        config = config.model_copy(update={"results_folder": results})
    loaded = load_plugins(plugin)
    plan = make_plan(
        scenario_file or config.SCENARIO_FILE_NAME,
        config,
        extra_modes=loaded.runners,
        registry=Registry({**METRICS, **loaded.collectors}),
        assume_yes=yes,
        name=name,
        overrides=overrides,
    )
    searched = find_searched(plan, searched_name)
    limits = _limits(
        searched, first=first, highest=highest, precision=precision, longest=longest, confirm=confirm
    )
    paused = pause if pause is not None else 0.0 if emulator else PAUSE_SECONDS
    if not quiet:
        click.echo("\n".join(_plan_lines(plan, searched, limits, pause=paused, emulator=emulator)), err=True)
    design = CapacitySearch(plan, searched, limits, emulator_seed if emulator else None)
    study = run_and_show(
        design,
        scenario_file,
        config,
        pause=paused,
        emulator=emulator_profile if emulator else "",
        quiet=quiet,
        plugins=plugin,
        assume_yes=yes,
        name=name,
        overrides=overrides,
        reports=wanted,
    )
    return study.record.exit_code or 0


def _limits(
    searched: Searched,
    *,
    first: str | None,
    highest: str | None,
    precision: float,
    longest: float | None,
    confirm: bool,
) -> SearchLimits:
    """The limits of the search. Raises `UsageError` for those that leave nothing to search."""
    from kfp_perf.studies.capacity import FROM_SHARE, SearchLimits

    if precision > 0.5:
        raise click.UsageError("--precision is at most 50%.", click.get_current_context())
    most = searched.highest if highest is None else _load("--to", highest, searched)
    begin = max(min(searched.load, most) / FROM_SHARE, 1.0 if searched.closed else 0.0)
    begin = begin if first is None else _load("--from", first, searched)
    if begin > most:
        raise click.UsageError(f"--from {first} is above --to {highest}.", click.get_current_context())
    return SearchLimits(
        first_rate=begin,
        highest_rate=most,
        precision=precision,
        longest_seconds=math.inf if longest is None else longest,
        confirm=confirm,
        closed=searched.closed,
        light_seconds=_LIGHT_SECONDS[searched.starts_runs],
    )


def _load(flag: str, text: str, searched: Searched) -> float:
    """A rate, or a number of slots."""
    from pydantic_core import PydanticCustomError

    from kfp_perf.scenario.quantities import parse_rate

    context = click.get_current_context()
    if searched.closed:
        if not text.isascii() or not text.isdigit() or not 0 < int(text) <= searched.highest:
            raise click.UsageError(
                f"{flag} {text!r} is not a number in flight, which scenario {searched.name} has: write it as 20.",
                context,
            )
        return float(text)
    try:
        rate = parse_rate(text).per_second
    except PydanticCustomError:
        rate = 0.0
    if not rate:
        raise click.UsageError(f"{flag} {text!r} is not a rate above 0: write it as 30/min or 5/s.", context)
    return rate


def _plan_lines(
    plan: Plan, searched: Searched, limits: SearchLimits, *, pause: float, emulator: bool
) -> list[str]:
    """What the search will do, and how long it will take."""
    from kfp_perf.reports.capacity_words import load_words
    from kfp_perf.reports.quantities import span_of
    from kfp_perf.studies.capacity import background_words, forecast

    def load(rate: float) -> str:
        return load_words(rate, searched.operation, closed=limits.closed)

    run_seconds = _run_seconds(plan, searched, emulator=emulator)
    expected = forecast(
        limits,
        min(searched.load, limits.highest_rate),
        run_seconds,
        clean_up_seconds=0.0 if emulator or not searched.starts_runs else _DELETE_SECONDS,
        pause=pause,
    )
    others = [background_words(one) for one in plan.scenarios if one.name != searched.name]
    seen = f", and {searched.operation}s take {span_of(run_seconds)}" if searched.starts_runs else ""
    return [
        (
            f"Searching the capacity of scenario {searched.name}, from {load(limits.first_rate)}, "
            f"to within {limits.precision * 100:g} %: {limits.runs} {searched.operation}s a plateau."
        ),
        *([f"In the background of each plateau: {', '.join(others)}."] if others else []),
        (
            f"If the capacity is {load(min(searched.load, limits.highest_rate))}, the load of the file{seen}: "
            f"{expected.plateaus} plateaus, about {span_of(expected.seconds)} in all."
        ),
    ]


def _run_seconds(plan: Plan, searched: Searched, *, emulator: bool) -> float:
    """How long a run is assumed to take until its end is visible."""
    if not searched.starts_runs:
        return 0.05
    if emulator:
        return _EMULATED_RUN_SECONDS
    estimate: Any = plan.estimates.get(searched.name)
    return float(estimate.seconds_per_run) if estimate and estimate.seconds_per_run else 60.0
