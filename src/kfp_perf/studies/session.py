"""A whole study from one call: each execution is one `run_test` with the settings that its design gives."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any

from kfp_perf.config import TestConfig
from kfp_perf.doctor import check_quickly
from kfp_perf.engine import load_plugins
from kfp_perf.execution import run_test
from kfp_perf.execution.session import baseline_of
from kfp_perf.execution.signals import interruptible
from kfp_perf.metrics import METRICS
from kfp_perf.metrics.registry import Registry
from kfp_perf.plan import make_plan
from kfp_perf.reports.study_reports import REPORT_FILE, draw_html
from kfp_perf.result.whole_file import write_whole
from kfp_perf.runners import PipelineRunner, create_runner
from kfp_perf.studies.study import run_executions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from kfp_perf.result.reader import TestResult
    from kfp_perf.result.study import Study
    from kfp_perf.runners import BaseRunner, CreateRunner
    from kfp_perf.scenario.model import TestScenario
    from kfp_perf.studies.study import PlannedExecution, StudyDesign

log = logging.getLogger(__name__)


def run_study(
    design: StudyDesign,
    scenario_file: str | Path | None = None,
    config: TestConfig | None = None,
    *,
    plugins: Iterable[str] = (),
    emulator: str = "",
    assume_yes: bool = False,
    name: str | None = None,
    overrides: Iterable[str] = (),
    pause_seconds: float = 0.0,
    announce: Callable[[str], None] = lambda _: None,
    targets: Iterable[TestConfig] = (),
    **options: Any,
) -> Study:
    """Run the executions of a design with a scenario file, and return the study, the handle on its folder.

    `scenario_file`, `config`, `plugins`, `emulator`, `assume_yes`, `name`, `overrides` and further `options` are
    those of `run_test`; the design adds its own overrides, target and emulator seed to each execution.
    `pause_seconds` and `announce` are those of `run_executions`; `targets` are checked before the first execution.
    The study's folder gets a `report.html`; a
    failure to write it is logged.

    Raises `InputError` and `TargetError` before anything is made, and `StudyAbandoned`. What keeps a later
    execution from being started ends the study, which says so.
    """
    config = config or TestConfig.from_environment()
    scenario_file = scenario_file or config.SCENARIO_FILE_NAME
    plugins, overrides = tuple(plugins), tuple(overrides)
    create: CreateRunner = options.pop("create_runner", create_runner)
    loaded = load_plugins(plugins)
    # Wrong input is reported before a folder is made.
    plan = make_plan(
        scenario_file,
        config,
        extra_modes=loaded.runners,
        registry=Registry({**METRICS, **loaded.collectors}),
        assume_yes=assume_yes,
        name=name,
        overrides=overrides,
    )
    first = design.next(())
    if first is None or not first.judged_in_pairs:
        baseline_of(plan, config)
    # `results/latest` will be this study.
    config = config.model_copy(update={"baseline": tuple(path.resolve() for path in config.baseline)})
    for target in targets:
        namespaces = {scenario.namespace or target.NAMESPACE for scenario in plan.scenarios}
        check_quickly(target, namespaces if target.IS_KUBEFLOW_MODE else ())

    def run(planned: PlannedExecution, folder: Path) -> TestResult:
        settings = planned.config or config
        if planned.judged_together:
            settings = settings.model_copy(update={"undecided": "pass"})
        return run_test(
            scenario_file,
            settings,
            plugins=plugins,
            emulator=emulator if planned.emulator is None else planned.emulator,
            emulator_seed=planned.emulator_seed or 0,
            assume_yes=assume_yes,
            name=name,
            overrides=(*overrides, *planned.overrides),
            folder=folder,
            stop_when=planned.stop_when,
            create_runner=functools.partial(_create_deleting, create) if planned.deletes_early else create,
            in_pairs=planned.judged_in_pairs,
            **options,
        )

    study = run_executions(
        design, plan.name, config.results_folder, run, pause_seconds=pause_seconds, announce=announce
    )
    _draw_report(study)
    return study


def _create_deleting(create: CreateRunner, test_scenario: TestScenario, **given: Any) -> BaseRunner:
    """Create a runner that deletes runs early, if it starts any."""
    runner = create(test_scenario, **given)
    if isinstance(runner, PipelineRunner):
        runner.deletes_early = True
    return runner


def _draw_report(study: Study) -> None:
    """Draw the report. Ctrl-C, SIGTERM and SIGHUP stop the drawing and nothing else: the outcome is known."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    try:
        with interruptible(interrupt):
            write_whole(study.path / REPORT_FILE, draw_html(study)[REPORT_FILE])
    except KeyboardInterrupt:
        again = f"kfp-perf report {study.path} --format html"
        log.warning("The report of the study is not drawn, as you stopped it; draw it with `%s`", again)
    except Exception as error:
        log.warning(
            "The report of the study could not be drawn (%s); try again with `kfp-perf report %s --format html`",
            f"{type(error).__name__}: {error}",
            study.path,
        )
        log.debug("What went wrong with the report", exc_info=True)
