"""The command line: GROUPS is the table of commands; each is a module that is imported when it is called."""

from __future__ import annotations

import contextlib
import importlib
import sys
from typing import TYPE_CHECKING

import click

from kfp_perf.cli.ending import ignore_signals
from kfp_perf.cli.github import error_to_github
from kfp_perf.errors import ExitCode, KfpPerfError
from kfp_perf.streams import flush_streams

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The groups of `--help`, in their order. Each command: the module and attribute that hold it, and what it does.
GROUPS: dict[str, dict[str, tuple[str, str, str]]] = {
    "Test": {
        "run": ("kfp_perf.cli.run", "run", "Run a test, and write its result."),
        "validate": ("kfp_perf.cli.validate", "validate", "Check a scenario file, and show its timeline."),
        "cleanup": ("kfp_perf.cli.cleanup", "cleanup", "Delete what a test left on the server."),
    },
    "Decide": {
        "duel": ("kfp_perf.cli.duel", "duel", "Compare two live targets: executions in turn."),
        "compare": ("kfp_perf.cli.compare", "compare", "Compare executions: slower, faster, or the same?"),
        "capacity": ("kfp_perf.cli.capacity", "capacity", "Find the highest load that the server carries."),
        "report": ("kfp_perf.cli.report", "report", "Draw a report of a result, in any format."),
        "list": ("kfp_perf.cli.list", "list_results", "List the results in a folder."),
    },
    "Set up": {
        "init": ("kfp_perf.cli.init", "init", "Write a first scenario, pipeline, test, CI workflow."),
        "doctor": ("kfp_perf.cli.doctor", "doctor", "Check the connection to the target, step by step."),
        "emulator": ("kfp_emulator.command", "emulator", "Run an emulator of the KFP API."),
        "schema": ("kfp_perf.cli.schema", "schema", "Print the JSON Schema of scenario files."),
    },
}
COMMANDS = {name: command for group in GROUPS.values() for name, command in group.items()}


class _Commands(click.Group):
    """A group that imports only the command that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        wide = max(map(len, COMMANDS))
        for title, commands in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(wide), text) for name, (_, _, text) in commands.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else f" There are: {', '.join(COMMANDS)}."
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(message="kfp-perf %(version)s", package_name="kfp-perf")
def cli() -> None:
    """Performance tests for Kubeflow Pipelines.

    Without a cluster at hand: kfp-perf run smoke.json --emulator
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, and exit with the code of its outcome."""
    code = outcome(arguments)
    ignore_signals()
    flush_streams()
    sys.exit(code)


def outcome(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, print what went wrong, and return the exit code."""
    try:
        code = cli.main(args=arguments, standalone_mode=False)
    except click.exceptions.Exit as wanted:
        return wanted.exit_code
    except click.Abort:
        with contextlib.suppress(OSError):
            click.echo("kfp-perf: interrupted", err=True)
        return int(ExitCode.INTERRUPTED)
    except click.ClickException as error:
        with contextlib.suppress(OSError):
            error.show()
        return int(ExitCode.BAD_INPUT)
    except KfpPerfError as error:
        with contextlib.suppress(OSError):
            click.echo(f"kfp-perf: {error}", err=True)
        error_to_github(error)
        return int(error.exit_code)
    except SystemExit:
        # What click puts there; its releases differ in the underscore.
        if type(sys.stdout).__name__.lstrip("_") != "PacifyFlushWrapper":
            raise
        return int(ExitCode.GOOD)  # nobody reads on, where click would exit with 1
    return int(code) if isinstance(code, int) else int(ExitCode.GOOD)
