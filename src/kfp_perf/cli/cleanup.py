"""`kfp-perf cleanup`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kfp_perf.cli.output import standard_output
from kfp_perf.cli.target import target_options

if TYPE_CHECKING:
    from kfp_perf.config import TestConfig
    from kfp_perf.result.journal import Journal, Made


#: Where neither of them was given the test's own target is meant.
_OF_A_TARGET = ("KFP_API_HOST", "KFP_API_PORT")
#: Nothing waits for this command, so it takes its time: the API server lets Kubernetes do five calls a second.
_SECONDS_EACH = 1.0


@click.command()
@click.argument("results", type=click.Path(path_type=Path, readable=False), default=Path("results/latest"))
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
@click.option(
    "--anyway",
    is_flag=True,
    help="Delete although the test's target had another address: the same server behind another port, say.",
)
@target_options
def cleanup(*, config: TestConfig, results: Path, dry_run: bool, anyway: bool) -> int:
    """Delete what the test of RESULTS left on the server, kept objects too.

    It goes by the journal in the folder, so it also works after a crash or `kill -9`; an object that never got
    its id is found by its unique name. The target is the test's, unless one is given; on another server it deletes
    nothing: there all would seem to be gone already.
    """
    from kfp_perf.client import is_loopback
    from kfp_perf.errors import ExitCode, InputError, Problem
    from kfp_perf.log import Logger
    from kfp_perf.reports.quantities import count_of
    from kfp_perf.result.folder import JOURNAL_FILE
    from kfp_perf.result.journal import Journal, left_behind, target_of

    path = results / JOURNAL_FILE
    if not path.is_file():
        remedy = "Name a folder that `kfp-perf run` made."
        raise InputError(Problem(str(results), f"holds no {JOURNAL_FILE}", remedy))
    objects = left_behind(path)
    if dry_run or not objects:
        with standard_output():
            for made in objects:
                click.echo(f"{made.kind.value} {made.name} {made.id}".rstrip())
            click.echo(f"{count_of(len(objects), 'object')} to delete." if objects else "Nothing is left.")
        return int(ExitCode.GOOD)
    target = target_of(path)
    if target and config.model_fields_set.isdisjoint(_OF_A_TARGET):
        if config.secrets and not is_loopback(target):
            what = f"is of a test on {target}, and there are credentials in the environment"
            remedy = f"Add --host {target} if that server may have them."
            raise InputError(Problem(str(results), what, remedy))
        config = config.model_copy(update={"KFP_API_HOST": target})
    if target not in {"", config.KFP_url} and not anyway:
        remedy = f"Name that one with --host {target}, or add --anyway if both are the same server."
        raise InputError(Problem(str(results), f"is of a test on {target}, not on {config.KFP_url}", remedy))
    with Logger(config.LOG_LEVEL, secrets=config.secrets):
        journal = Journal(path)
        left = asyncio.run(_delete(objects, config, journal))
        journal.close()
    click.echo(f"{count_of(len(objects) - len(left), 'object')} deleted.")
    for line in left:
        click.echo(f"left: {line}", err=True)
    return int(ExitCode.FAILED if left else ExitCode.GOOD)


async def _delete(objects: list[Made], config: TestConfig, journal: Journal) -> list[str]:
    from kfp_perf.client import RestClient, check_target
    from kfp_perf.pacing import RealClock
    from kfp_perf.result.records import Purpose
    from kfp_perf.runners.cleanup import clean_up

    clock = RealClock()
    client = RestClient(config, clock, correlation="kfp-perf-cleanup").for_purpose(Purpose.CLEANUP)
    try:
        await check_target(client, {made.namespace for made in objects})
        with click.progressbar(length=len(objects), label="Deleting") as bar:
            return await clean_up(
                objects,
                client,
                clock,
                deadline=clock.now() + config.cleanup_timeout_seconds + len(objects) * _SECONDS_EACH,
                on_gone=lambda made: journal.gone(made.kind, made.name),
                on_progress=lambda _done, _total: bar.update(1),
            )
    finally:
        await client.aclose()
