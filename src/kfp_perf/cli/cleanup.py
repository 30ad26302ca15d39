"""`kfp-perf cleanup`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kfp_perf.cli.damaged import readable
from kfp_perf.cli.output import standard_output
from kfp_perf.cli.target import target_options

if TYPE_CHECKING:
    from kfp_perf.config import TestConfig
    from kfp_perf.result.journal import Journal, Made


#: Where neither was given, the target is the one that the journal names.
_TARGET_FIELDS = ("KFP_API_HOST", "KFP_API_PORT")
#: What says who asks, or proves it. A field that holds a secret counts too, also one of a subclass.
_CREDENTIAL_FIELDS = frozenset(
    {
        "KFP_TOKEN",
        "KFP_TOKEN_FILE",
        "KFP_TOKEN_COMMAND",
        "KFP_COOKIE",
        "KFP_USER",
        "KFP_CLIENT_CERT",
        "KFP_CLIENT_KEY",
    }
)


@click.command()
@click.argument("results", type=click.Path(path_type=Path, readable=False), default=Path("results/latest"))
@click.option("--dry-run", is_flag=True, help="Only list what would be deleted.")
@click.option(
    "--anyway",
    is_flag=True,
    help="Delete although the test's target had another address, such as another port of the same server.",
)
@target_options
def cleanup(*, config: TestConfig, results: Path, dry_run: bool, anyway: bool) -> int:
    """Delete what the test of RESULTS left on the server, kept objects too; of a study, its tests one by one.

    Objects are read from the journals in the folder, so this also works after a crash or `kill -9`. An object
    without an id is found by its unique name. The target is that of the journals, unless one is given. Credentials
    are sent to the journals' target only if it is on this machine or given with --host. On another server nothing
    is deleted, since there everything would seem to be gone already.
    """
    from kfp_perf.errors import ExitCode, KfpPerfError
    from kfp_perf.result.study import is_study

    if not is_study(results):
        return _clean_up(results, config, dry_run=dry_run, anyway=anyway)
    codes = []
    for folder in _executions_in(results):
        try:
            codes.append(ExitCode(_clean_up(folder, config, dry_run=dry_run, anyway=anyway)))
        except KfpPerfError as error:  # the others may be on another target
            click.echo(f"kfp-perf: {error}", err=True)
            codes.append(error.exit_code)
    return int(ExitCode.worst(codes))


def _executions_in(study: Path) -> list[Path]:
    """The folders of a study's tests with a journal, from the disk: that of a damaged result counts too."""
    from kfp_perf.errors import InputError, Problem
    from kfp_perf.result.files import EXECUTIONS_FOLDER, JOURNAL_FILE
    from kfp_perf.result.reader import TestResult

    try:
        folders = sorted((study / EXECUTIONS_FOLDER).iterdir())
    except OSError:
        folders = []
    with readable(study):
        found = [one for one in folders if TestResult(one).journal_paths]
    if found:
        return found
    raise InputError(Problem(str(study), f"holds no {JOURNAL_FILE} of a test", "Has none been started?"))


def _clean_up(results: Path, config: TestConfig, *, dry_run: bool, anyway: bool) -> int:
    """Delete what one test left; return the exit code."""
    from kfp_perf.client import is_loopback
    from kfp_perf.errors import ExitCode, InputError, Problem
    from kfp_perf.log import Logger
    from kfp_perf.reports.quantities import count_of
    from kfp_perf.result.files import JOURNAL_FILE
    from kfp_perf.result.journal import left_behind
    from kfp_perf.result.reader import TestResult, remedy_for

    with readable(results):
        paths = TestResult(results).journal_paths
        journals = {path: left_behind(path) for path in paths}
    if not paths:
        what = f"holds no {JOURNAL_FILE} of a scenario" if results.exists() else "does not exist"
        raise InputError(Problem(str(results), what, remedy_for(results)))
    objects = [made for found in journals.values() for made in found]
    if dry_run or not objects:
        with standard_output():
            for made in objects:
                click.echo(f"{made.kind.value} {made.name} {made.id}".rstrip())
            count = f"{count_of(len(objects), 'object')} to delete."
            click.echo(count if objects else f"Nothing is left of the test in {_named(results)}.")
        return int(ExitCode.GOOD)
    target = _target_of(paths)
    if target and config.model_fields_set.isdisjoint(_TARGET_FIELDS):
        if (given := _credentials(config)) and not is_loopback(target):
            what = f"is of a test on {target}, and credentials are set ({', '.join(given)})"
            remedy = f"Add --host {target} if they may be sent to that server."
            raise InputError(Problem(str(results), what, remedy))
        config = config.model_copy(update={"KFP_API_HOST": target})
    if target not in {"", config.KFP_url} and not anyway:
        remedy = f"Name that one with --host {target}, or add --anyway if both are the same server."
        raise InputError(Problem(str(results), f"is of a test on {target}, not on {config.KFP_url}", remedy))
    with Logger(config.LOG_LEVEL, secrets=config.secrets):
        left = asyncio.run(_delete(journals, config))
    click.echo(f"{count_of(len(objects) - len(left), 'object')} deleted.")
    for line in left:
        click.echo(f"left: {line}", err=True)
    return int(ExitCode.FAILED if left else ExitCode.GOOD)


def _named(results: Path) -> str:
    """The folder, and after a link such as `results/latest` where it leads."""
    return f"{results} ({results.resolve().name})" if results.is_symlink() else str(results)


def _target_of(paths: list[Path]) -> str:
    """Return the server that the journals name; empty where none does. They are of one test."""
    from kfp_perf.result.journal import target_of

    return next(filter(None, map(target_of, paths)), "")


def _credentials(config: TestConfig) -> list[str]:
    """Return the variables of the credentials that requests would carry."""
    from pydantic import SecretBytes, SecretStr

    from kfp_perf.config import PROXY_FIELDS, variable_name

    kind = type(config)
    return [
        variable_name(kind, field)
        for field in kind.model_fields
        if field not in PROXY_FIELDS
        and (value := getattr(config, field))
        and (field in _CREDENTIAL_FIELDS or isinstance(value, SecretStr | SecretBytes))
    ]


async def _delete(journals: dict[Path, list[Made]], config: TestConfig) -> list[str]:
    from kfp_perf.client import RestClient, check_target
    from kfp_perf.pacing import RealClock
    from kfp_perf.result.journal import ObjectKind
    from kfp_perf.result.records import Purpose
    from kfp_perf.runners.cleanup import clean_up

    # An experiment of one scenario may hold the runs of another.
    order = list(ObjectKind)
    objects = sorted(
        (made for found in journals.values() for made in found), key=lambda made: order.index(made.kind)
    )
    paths = {(made.kind, made.name): path for path, found in journals.items() for made in found}
    written = {path: journal for path in journals if (journal := _opened(path))}

    def gone(made: Made) -> None:
        if journal := written.get(paths[made.kind, made.name]):
            journal.gone(made.kind, made.name)

    clock = RealClock()
    client = RestClient(config, clock, correlation="kfp-perf-cleanup").for_purpose(Purpose.CLEANUP)
    try:
        await check_target(client, {made.namespace for made in objects})
        with click.progressbar(length=len(objects), label="Deleting") as bar:
            return await clean_up(
                objects,
                client,
                clock,
                patience_seconds=config.cleanup_timeout_seconds,
                on_gone=gone,
                on_progress=lambda _done, _total: bar.update(1),
            )
    finally:
        await client.aclose()
        for journal in written.values():
            journal.close()


def _opened(path: Path) -> Journal | None:
    """The journal; None where it cannot be written, so that what is deleted is not recorded."""
    from kfp_perf.result.journal import Journal

    try:
        return Journal(path)
    except OSError as error:
        click.echo(
            f"kfp-perf: {path} cannot be written ({error.strerror}): it still names what is gone", err=True
        )
        return None
