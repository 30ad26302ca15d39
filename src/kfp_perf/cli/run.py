"""`kfp-perf run`."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kfp_perf.cli.target import target_options

if TYPE_CHECKING:
    from kfp_perf.config import TestConfig
    from kfp_perf.engine import Plugins
    from kfp_perf.log import Logger
    from kfp_perf.plan import Plan
    from kfp_perf.result.folder import TestResult


@click.command()
@click.argument("scenario_file", required=False)
@click.option("--emulator", is_flag=True, help="Test the built-in emulator instead of a KFP API server.")
@click.option("--emulator-profile", default="fast", show_default=True, help="Timing of the emulator.")
@click.option("--emulator-seed", type=int, default=0, help="Seed of the emulator's timing.")
@click.option(
    "--results", type=click.Path(path_type=Path), help="Where the result folder is made.  [results]"
)
@click.option("--keep", is_flag=True, help="Leave all that was made on the server.")
@click.option("--keep-failed", is_flag=True, help="Leave failed runs, and what they need, on the server.")
@click.option("--plugin", multiple=True, metavar="MODULE", help="Load runners and collectors of your own.")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
@target_options
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
    quiet: bool,
) -> int:
    """Run the scenarios of SCENARIO_FILE, and write the result into a new folder.

    SCENARIO_FILE is a path, or the name of a built-in file such as smoke.json.

    Exit codes: 0 good, 1 failed, 2 wrong input, 3 target not reachable or not healthy, 4 interrupted, 5 not valid.
    """
    from kfp_perf.engine import load_plugins
    from kfp_perf.execution import EmulatorProcess
    from kfp_perf.log import Logger
    from kfp_perf.plan import make_plan

    changes: dict[str, Any] = {}
    if results is not None:
        changes["results_folder"] = results
    if keep or keep_failed:
        changes["keep"] = "all" if keep else "failed"
    plugins = load_plugins(plugin)
    plan = make_plan(scenario_file or config.SCENARIO_FILE_NAME, config, extra_modes=plugins.runners)
    beside = plan.path.parent
    changes["pipeline_folders"] = (beside, beside / "pipelines", *config.pipeline_folders)
    with contextlib.ExitStack() as stack:
        profile = ""
        if emulator:
            process = stack.enter_context(EmulatorProcess(emulator_profile, emulator_seed))
            # What the environment says of a real target does not hold for the emulator.
            changes |= {"KFP_API_HOST": process.url, "IS_KUBEFLOW_MODE": False, "KFP_TOKEN": None}
            changes |= {"KFP_TOKEN_FILE": None, "KFP_COOKIE": None}
            profile = emulator_profile
        logger = stack.enter_context(Logger(config.LOG_LEVEL, secrets=config.secrets))
        return _run(plan, config.model_copy(update=changes), plugins, logger, profile, quiet=quiet)


def _run(
    plan: Plan, config: TestConfig, plugins: Plugins, logger: Logger, profile: str, *, quiet: bool
) -> int:
    from kfp_perf.execution import TestFailed, execute
    from kfp_perf.live import open_display

    code = 0
    display = open_display(logger, quiet=quiet)
    try:
        result = execute(
            plan, config, logger=logger, display=display, plugins=plugins, emulator_profile=profile
        )
    except TestFailed as failed:
        result, code = failed.result, int(failed.exit_code)
    finally:
        display.close()
    logger.flush()
    _show(result)
    if any(one["error"] == "abandoned" for one in result.document["scenarios"]):
        # Threads of the scenarios still wait for the server; the user does not want to.
        sys.stdout.flush()
        os._exit(code)
    return code


def _show(result: TestResult) -> None:
    from kfp_perf.reports.console import print_summary

    print_summary(result, sys.stdout)
