"""A whole test from one call: settings, plan, emulator if asked for, log, display, result."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from typing import TYPE_CHECKING

from kfp_perf.compare.baseline import fit_of, read_baseline
from kfp_perf.compare.baseline_words import bounds_in_words
from kfp_perf.config import TestConfig
from kfp_perf.doctor import QUICK_SECONDS, check_quickly
from kfp_perf.engine import load_plugins
from kfp_perf.execution.emulator_process import EMULATED_NAMESPACE, EmulatorProcess
from kfp_perf.execution.execute import TestFailed, execute
from kfp_perf.execution.given import planned_document
from kfp_perf.execution.signals import interruptible
from kfp_perf.health import raise_open_files_limit
from kfp_perf.live import open_display
from kfp_perf.log import Logger
from kfp_perf.metrics import METRICS
from kfp_perf.metrics.registry import Registry
from kfp_perf.plan import make_plan
from kfp_perf.reports import write_report
from kfp_perf.reports.quantities import count_of
from kfp_perf.runners import create_runner

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from kfp_perf.compare import Side
    from kfp_perf.compare.baseline import Baseline
    from kfp_perf.engine import Plugins
    from kfp_perf.execution.early_end import StopWhen
    from kfp_perf.plan import Plan
    from kfp_perf.result.reader import TestResult
    from kfp_perf.runners import CreateRunner

log = logging.getLogger(__name__)


def run_test(
    scenario_file: str | Path | None = None,
    config: TestConfig | None = None,
    *,
    plugins: Iterable[str] = (),
    emulator: str = "",
    emulator_seed: int = 0,
    assume_yes: bool = False,
    quiet: bool = False,
    page: bool = False,
    page_address: tuple[str, int] = ("127.0.0.1", 0),
    name: str | None = None,
    overrides: Iterable[str] = (),
    create_runner: CreateRunner = create_runner,
    folder: Path | None = None,
    stop_when: StopWhen | None = None,
    in_pairs: bool = False,
) -> TestResult:
    """Run the scenarios of a file, and return the result, the handle on its folder.

    `scenario_file` is a path or the name of a built-in file (default: the configuration's), `config` is read
    from the environment if not given, `plugins` are modules or Python files with runners and collectors.
    `emulator` names a timing profile: the test then runs against an emulator that is started for it.
    `assume_yes` lifts the cap on rows that are made beforehand. Unless `quiet`, progress is shown;
    `page` serves it to browsers too, at `page_address` (host and port, 0: a free one). `name` and `overrides` are
    those of `make_plan`; `folder` is that of the result (default: a new one in the configuration's). It gets a
    `report.html`; a failure to write it is logged, and changes nothing else. `create_runner` makes the runner of
    each scenario: a function like `kfp_perf.runners.create_runner`, which selects it by the scenario's mode.
    `stop_when` and `in_pairs` are those of `execute`.

    Raises `InputError`, `TargetError`, and `TestFailed`, which holds the result, if a scenario or a threshold
    failed or the test was stopped.
    """
    raise_open_files_limit()
    config = config or TestConfig.from_environment()
    loaded = dataclasses.replace(load_plugins(plugins), create_runner=create_runner)
    plan = make_plan(
        scenario_file or config.SCENARIO_FILE_NAME,
        config,
        extra_modes=loaded.runners,
        registry=Registry({**METRICS, **loaded.collectors}),
        assume_yes=assume_yes,
        name=name,
        overrides=overrides,
    )
    baseline = None if in_pairs else baseline_of(plan, config)
    misfits = [] if baseline is None else list(fit_of(baseline[0], planned_document(plan)))
    # The first is closed last: it holds the signals of the time after the test.
    with contextlib.ExitStack() as after, contextlib.ExitStack() as stack:
        slow = False
        if not emulator:
            slow = not check_quickly(config, plan.namespaces(config) if config.IS_KUBEFLOW_MODE else ())
        else:
            config = _aimed_at(stack.enter_context(EmulatorProcess(emulator, emulator_seed)), config)
        logger = stack.enter_context(Logger(config.LOG_LEVEL, secrets=config.secrets))
        for misfit in misfits:
            log.warning("Baseline: %s", misfit)
        if slow:
            log.warning(
                "%s has not answered for %g s; the test begins when it does, and Ctrl-C ends the wait",
                config.KFP_url,
                QUICK_SECONDS,
            )
        opened = open_display(logger, quiet=quiet, page=page_address if page else None)
        display = stack.enter_context(contextlib.closing(opened))
        try:
            result = execute(
                plan,
                config,
                logger=logger,
                display=display,
                plugins=loaded,
                emulator_profile=emulator,
                folder=folder,
                stop_when=stop_when,
                baseline=baseline,
                in_pairs=in_pairs,
            )
        except TestFailed as failed:
            if not failed.abandoned:
                display.finish(failed.result, _draw_report(failed.result, loaded, after))
            raise
        display.finish(result, _draw_report(result, loaded, after))
        return result


def baseline_of(plan: Plan, config: TestConfig) -> tuple[Side, Baseline] | None:
    """Read what the plan's thresholds are relative to; None where none is, or where that may remain undecided.

    Raises `InputError` for a baseline that is missing or cannot be used.
    """
    if not config.baseline and config.undecided == "pass":
        return None
    found = read_baseline(config.baseline, plan.thresholds)
    if config.baseline and found is None:
        log.info("No threshold is relative to a baseline, so the one that is given has no effect")
    return found


def baseline_lines(plan: Plan, config: TestConfig) -> Iterator[str]:
    """Yield what a test would be compared with: the bound of each relative threshold, and what does not fit.

    Raises `InputError` for a baseline that cannot be used.
    """
    relative = [one for one in plan.thresholds if one.margin is not None]
    if not config.baseline:
        if relative:
            then = "which is accepted" if config.undecided == "pass" else _NEEDED
            yield f"none is given for {count_of(len(relative), 'relative threshold')}, {then}"
        return
    found = read_baseline(config.baseline, plan.thresholds)
    if found is None:
        yield "no threshold is relative to it, so it has no effect"
        return
    side, baseline = found
    yield from bounds_in_words(relative, baseline)
    yield from fit_of(side, planned_document(plan))


_NEEDED = "so `run` needs --baseline FOLDER; in a `duel` the first target is the baseline"


def _draw_report(result: TestResult, plugins: Plugins, after: contextlib.ExitStack) -> Path | None:
    """Draw the report of a test that is over; None where that fails or is stopped.

    From here on, until `after` is closed, Ctrl-C, SIGTERM and SIGHUP stop the drawing and nothing else: the outcome
    is known, and is still to be shown.
    """
    drawing = False

    def interrupt() -> None:
        if drawing:
            raise KeyboardInterrupt

    after.enter_context(interruptible(interrupt, outer_too=True))
    again = f"kfp-perf report {result.path} --format html"
    try:
        try:
            drawing = True
            (path,) = write_report(result, "html", result.path, sections=plugins.sections)
        finally:
            drawing = False
    except KeyboardInterrupt:
        log.warning("The report is not drawn, as you stopped it; draw it with `%s`", again)
        return None
    except Exception as error:
        log.warning(
            "The report could not be drawn (%s); try again with `%s`",
            f"{type(error).__name__}: {error}",
            again,
        )
        log.debug("What went wrong with the report", exc_info=True)
        return None
    return path


def _aimed_at(emulator: EmulatorProcess, config: TestConfig) -> TestConfig:
    """The configuration with the emulator as its target; credentials are for the real one only."""
    no_credentials = dict.fromkeys(("KFP_TOKEN", "KFP_TOKEN_FILE", "KFP_TOKEN_COMMAND", "KFP_COOKIE"))
    return config.model_copy(
        update={
            "KFP_API_HOST": emulator.url,
            "IS_KUBEFLOW_MODE": False,
            "metrics_urls": emulator.metrics_urls,
            "kubernetes_url": emulator.kubernetes_url,
            "kubernetes_token": None,
            "run_namespaces": (EMULATED_NAMESPACE,),
            "kfp_namespace": EMULATED_NAMESPACE,
            **no_credentials,
        }
    )
