"""`kfp-perf doctor`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from kfp_perf.cli.output import standard_output
from kfp_perf.cli.target import target_options
from kfp_perf.errors import ExitCode

if TYPE_CHECKING:
    from kfp_perf.config import TestConfig
    from kfp_perf.doctor import Finding


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document for programs.")
@click.option("--read-only", is_flag=True, help="Create no experiment, so do not check the right to.")
@target_options
def doctor(*, config: TestConfig, as_json: bool, read_only: bool) -> int:
    """Check the connection to the target step by step, and say how to fix what fails.

    An experiment is created and deleted, to check the permission; --read-only skips that. Exit code 3 if a check
    fails.
    """
    from kfp_perf.doctor import Status, examine
    from kfp_perf.pacing import run_in_own_loop

    found: list[Finding] = []

    async def check() -> None:
        namespaces = (config.NAMESPACE,) if config.IS_KUBEFLOW_MODE else ()
        async for finding in examine(config, namespaces, writes=not read_only):
            found.append(finding)
            if not as_json:
                click.echo(line_of(finding))

    with standard_output():
        if not as_json:
            click.echo(config.KFP_url)
        run_in_own_loop(check())
        if as_json:
            import msgspec

            document = {
                "url": config.KFP_url,
                "ok": not _having(found, Status.FAILED),
                "checks": [msgspec.to_builtins(one) for one in found],
            }
            click.echo(json.dumps(document, indent=2))
        else:
            click.echo(f"\n{conclusion_of(found)}")
    return int(ExitCode.TARGET if _having(found, Status.FAILED) else ExitCode.GOOD)


def _having(found: list[Finding], status: str) -> list[str]:
    return [finding.check for finding in found if finding.status == status]


def conclusion_of(found: list[Finding]) -> str:
    """Return whether a test can run after these findings, in one line."""
    from kfp_perf.doctor import Status

    failed, warnings, skipped = (
        " and ".join(_having(found, status)) for status in (Status.FAILED, Status.WARNING, Status.SKIPPED)
    )
    if failed:
        return f"Not ready for a test: {failed} failed."
    rest = f"; warnings: {warnings}" if warnings else ""
    rest += f"; not checked: {skipped}" if skipped else ""
    return f"Ready for a test{rest}."


def line_of(finding: Finding) -> str:
    """Return a finding as one line, and its remedy, if any, as a second one."""
    line = f"  {finding.status:8} {finding.check:9} {finding.detail}"
    return f"{line}\n{'':21}{finding.remedy}" if finding.remedy else line
