"""All that can be known before the first request: scenarios, pipelines, what is wrong, what is doubtful."""

from __future__ import annotations

import difflib
import os
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from kfp_perf.catalog import SCENARIOS
from kfp_perf.config import variable_name
from kfp_perf.errors import InputError, Problem
from kfp_perf.pipelines.package import PipelinePackage, find_pipeline, read_pipeline
from kfp_perf.scenario.cron import firings
from kfp_perf.scenario.documents import read_text
from kfp_perf.scenario.estimate import Estimate, estimate
from kfp_perf.scenario.model import NAME_PATTERN, TestMode, TestScenario
from kfp_perf.scenario.overrides import resolve
from kfp_perf.scenario.quantities import shown
from kfp_perf.scenario.rules import PIPELINE_MODES, unused_fields
from kfp_perf.scenario.serde import SCENARIO_FILE_KIND, ParsedFile, parse_scenarios
from kfp_perf.thresholds import Threshold, parse_threshold

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from kfp_perf.config import TestConfig

PREFILL_CAP = 10_000
"""Rows that one scenario may create before its start without being asked about."""

SECONDS_PER_STEP = 12.0
"""What a pod in a run's sequence is taken to last: the controller passes a workflow each 10 s by default, and a run
of one task, which has three pods, took 20 to 30 s on a real server where they did nothing."""

USUAL_GRACE_SECONDS = 60.0
"""How long a scenario that does not say so is taken to follow its last runs after its run time."""

CONTROLLER_WAIT_SECONDS = 10.0
"""For so long KFP's controller waits after each run it starts, before it looks at the run's schedule again."""

_RUN_METRICS = {
    "runs": PIPELINE_MODES,
    "phases": PIPELINE_MODES,
    "schedule": frozenset({TestMode.PIPELINE_SCHEDULED_RUN.name}),
}
"""Families of metrics that are made from runs, and the modes that start such runs."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A test that can start.

    `text` is the scenario file with variables and overrides in place, `resolved` says what these changed. Every
    scenario has a `name`, unique in the plan; `packages` holds the pipeline of each scenario that has one,
    `estimates` what each is expected to make, both by that name; `thresholds` are those of the whole test, then
    those of the scenarios; `duration_seconds` lasts to the end of the last run time, without grace periods and
    clean-up.
    """

    name: str
    path: Path
    text: str
    scenarios: tuple[TestScenario, ...]
    packages: Mapping[str, PipelinePackage] = field(default_factory=dict)
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    thresholds: tuple[Threshold, ...] = ()
    warnings: tuple[Problem, ...] = ()
    resolved: tuple[str, ...] = ()

    @property
    def duration_seconds(self) -> float:
        """From the start of the test to the end of the last run time, in seconds."""
        return max(scenario.start_seconds + scenario.run_seconds for scenario in self.scenarios)


def make_plan(
    scenario_file: str | Path,
    config: TestConfig,
    *,
    extra_modes: Collection[str] = (),
    assume_yes: bool = False,
    now: float | None = None,
    seconds_per_step: float = SECONDS_PER_STEP,
    name: str | None = None,
    overrides: Iterable[str] = (),
    environment: Mapping[str, str] = os.environ,
) -> Plan:
    """Return the plan of a scenario file: a path, or the name of a built-in scenario.

    `extra_modes` are the modes that plug-ins add; `assume_yes` lifts the cap on rows made beforehand; `now`
    (seconds since the epoch, default: the clock) is when the test would start, for schedules; `seconds_per_step`
    is what the estimates take a pod in a run's sequence to last. `name` is what results are called instead of the
    file's own name; `overrides` are set in the file (see `scenario.overrides`), `environment` gives its variables.
    Raises InputError with every problem of the file and of its pipelines.
    """
    path = find_scenario_file(scenario_file)
    if name is not None and not re.fullmatch(NAME_PATTERN, name):
        raise InputError(Problem("--name", f"must match {NAME_PATTERN}, got {shown(name)}", "shorten it"))
    resolved = resolve(read_text(path, SCENARIO_FILE_KIND), _label(path), overrides, environment)
    text = resolved.text
    parsed = parse_scenarios(text, _label(path), extra_modes=extra_modes)
    check = _Check(
        parsed, config, datetime.fromtimestamp(time.time() if now is None else now, UTC), assume_yes
    )
    for index, scenario in parsed.scenarios.items():
        check.scenario(index, scenario, [path.parent, path.parent / "pipelines", *config.pipeline_folders])
    check.whole()
    scenarios = dict(zip(parsed.scenarios, _names(list(parsed.scenarios.values())), strict=True))
    thresholds = check.thresholds(scenarios)
    if parsed.problems:
        raise InputError(parsed.problems)
    packages = {scenarios[index]: package for index, package in check.packages.items()}
    estimates = {
        scenarios[index]: guess
        for index, scenario in parsed.scenarios.items()
        if (guess := check.estimate(index, scenario, seconds_per_step)) is not None
    }
    check.warnings += _with_too_few_runs(thresholds, estimates, set(scenarios.values()))
    return Plan(
        name=name or parsed.name or _safe_name(path.stem),
        path=path,
        text=text,
        scenarios=tuple(
            scenario.model_copy(update={"name": scenarios[index]})
            for index, scenario in parsed.scenarios.items()
        ),
        packages=packages,
        estimates=estimates,
        thresholds=thresholds,
        warnings=tuple(check.warnings),
        resolved=resolved.changes,
    )


def find_scenario_file(name: str | Path) -> Path:
    """Return the scenario file of that path, or the built-in one of that name (with or without `.json`).

    Raises InputError.
    """
    path = Path(name)
    try:
        if path.exists():
            return path
    except (OSError, ValueError) as error:
        raise InputError(Problem(f"{name!s:.80}", f"cannot be looked up: {error}")) from None
    built_in = {file.name: file for file in sorted(SCENARIOS.glob("*.json"))}
    for candidate in (str(name), f"{name}.json"):
        if candidate in built_in:
            return built_in[candidate]
    beside = [file.name for file in Path().glob("*.json")] if path.parent == Path() else []
    near = difflib.get_close_matches(path.name, [*beside, *built_in], n=1)
    remedy = f"did you mean {near[0]}?" if near else "give a path, or the name of a built-in scenario file"
    raise InputError(Problem(str(name), "does not exist", f"{remedy} (built in: {', '.join(built_in)})"))


class _Check:
    """Goes through the scenarios of a file, and gathers pipelines, problems and warnings."""

    def __init__(self, parsed: ParsedFile, config: TestConfig, start: datetime, assume_yes: bool) -> None:
        self.parsed = parsed
        self.config = config
        self.start = start
        self.assume_yes = assume_yes
        self.packages: dict[int, PipelinePackage] = {}
        self.warnings: list[Problem] = []
        self._read: dict[Path, PipelinePackage | InputError] = {}

    def scenario(self, index: int, scenario: TestScenario, folders: Sequence[Path]) -> None:
        """Check one scenario beyond its own fields."""
        for attribute in unused_fields(scenario):
            alias = TestScenario.model_fields[attribute].alias or attribute
            what = f"is not used by mode {scenario.mode_name}"
            self._warn(Problem(self.parsed.where(index, (alias,)), what, "remove it"))
        if scenario.namespace is not None and not self.config.IS_KUBEFLOW_MODE:
            what = "is not used: a single-user server has no namespaces"
            self._warn(Problem(self.parsed.where(index, ("namespace",)), what, "set isKubeflowMode=true"))
        self.parsed.complain(self._prefill(index, scenario))
        self.parsed.complain(self._pipeline(index, scenario, folders))
        self._schedule(index, scenario)

    def whole(self) -> None:
        """Check what only all scenarios together show."""
        given = Counter(scenario.name for scenario in self.parsed.scenarios.values() if scenario.name)
        for index, scenario in self.parsed.scenarios.items():
            if scenario.name and given[scenario.name] > 1:
                where = self.parsed.where(index, ("name",))
                what = f'"{scenario.name}" is the name of {given[scenario.name]} scenarios'
                self.parsed.complain([Problem(where, what, "give each a name of its own, or none")])
        self._pool(list(self.parsed.scenarios.values()))

    def thresholds(self, names: Mapping[int, str]) -> tuple[Threshold, ...]:
        """Return the thresholds of the whole test, then those of the scenarios, by the names that these get."""
        given = [
            (name, condition, self.parsed.place("$", ("thresholds", name)), None)
            for name, condition in self.parsed.thresholds.items()
        ] + [
            (name, condition, self.parsed.where(index, ("thresholds", name)), names[index])
            for index, scenario in self.parsed.scenarios.items()
            for name, condition in scenario.thresholds.items()
        ]
        found = [parse_threshold(*one) for one in given]
        self.parsed.complain(one for one in found if isinstance(one, Problem))
        good = tuple(one for one in found if isinstance(one, Threshold))
        scenarios = {name: self.parsed.scenarios[index] for index, name in names.items()}
        self.parsed.complain(problem for one in good for problem in _without_runs(one, scenarios))
        return good

    def estimate(self, index: int, scenario: TestScenario, seconds_per_step: float) -> Estimate | None:
        """Return about how many runs and requests a scenario makes."""
        package = self.packages.get(index)
        steps = package.sequential_steps if package else 0
        return estimate(scenario, steps * seconds_per_step, self._firings(scenario))

    def _pool(self, scenarios: Sequence[TestScenario]) -> None:
        size, variable = self.config.pool_size, variable_name(type(self.config), "pool_size")
        if size is None:
            return
        overlap = most_at_once(scenarios)
        if size < overlap:
            what = f"is {size}, but {overlap} scenarios of {self.parsed.label} overlap"
            remedy = f"set it to {overlap} or more, or leave it out"
            self.parsed.complain([Problem(variable, what, remedy)])
        elif size < (with_ends := most_at_once(scenarios, USUAL_GRACE_SECONDS)):
            what = f"is {size}: scenarios that follow their last runs, or delete them, make later ones wait"
            self._warn(Problem(variable, what, f"set it to {with_ends} or more, or leave it out"))

    def _warn(self, warning: Problem) -> None:
        if warning not in self.warnings:
            self.warnings.append(warning)

    def _prefill(self, index: int, scenario: TestScenario) -> Iterator[Problem]:
        rows = scenario.prefill.total if scenario.prefill else 0
        if rows > PREFILL_CAP and not self.assume_yes:
            what = f"would create {rows} rows, more than {PREFILL_CAP}"
            yield Problem(self.parsed.where(index, ("prefill",)), what, "confirm it with --yes")

    def _pipeline(self, index: int, scenario: TestScenario, folders: Sequence[Path]) -> Iterator[Problem]:
        where = self.parsed.where(index, ("pipelineFileName",))
        if scenario.pipeline_file_name is None:
            if scenario.mode_name in PIPELINE_MODES:
                what = f"is missing: mode {scenario.mode_name} needs a pipeline"
                yield Problem(
                    where, what, 'name a compiled pipeline, "hello.yaml" of the built-in ones for example'
                )
            return
        if "pipeline_file_name" in unused_fields(scenario):
            return
        try:
            path = find_pipeline(scenario.pipeline_file_name, folders)
        except InputError as error:
            yield from (
                Problem(where, f"{shown(fault.where)} {fault.what}", fault.remedy) for fault in error.problems
            )
            return
        package = self._package(path)
        if isinstance(package, InputError):
            yield from package.problems
            return
        self.packages[index] = package
        if scenario.mode_name in PIPELINE_MODES:
            for fault in package.check_parameters(scenario.params):
                yield Problem(self.parsed.where(index, ("params", fault.where)), fault.what, fault.remedy)

    def _package(self, path: Path) -> PipelinePackage | InputError:
        if path not in self._read:
            try:
                self._read[path] = read_pipeline(path)
            except InputError as error:
                self._read[path] = error
        return self._read[path]

    def _schedule(self, index: int, scenario: TestScenario) -> None:
        if scenario.mode is not TestMode.PIPELINE_SCHEDULED_RUN:
            return
        interval = scenario.interval_seconds
        if interval is not None and interval < CONTROLLER_WAIT_SECONDS:
            what = f"is shorter than the {CONTROLLER_WAIT_SECONDS:g} s that KFP's controller waits after each run"
            remedy = "make it longer, or have more schedules (numTimes): the slots of this one fall behind"
            self._warn(Problem(self.parsed.where(index, ("interval",)), what, remedy))
        if self._firings(scenario):
            return
        key = "cron" if scenario.cron is not None else "interval"
        what = f"does not fire within runTime ({scenario.run_seconds:g} s): no run would be started"
        remedy = "make runTime longer, or let it fire more often"
        if scenario.cron is not None and (first := next(firings(scenario.cron, self._begin(scenario)), None)):
            remedy += f"; it would fire next at {first:%Y-%m-%d %H:%M} UTC"
        self._warn(Problem(self.parsed.where(index, (key,)), what, remedy))

    def _begin(self, scenario: TestScenario) -> datetime:
        return self.start + timedelta(seconds=scenario.start_seconds)

    def _firings(self, scenario: TestScenario) -> int:
        """Return how often a schedule is due within the run time; beyond a week, at the first week's pace."""
        run_seconds = scenario.run_seconds
        if scenario.interval_seconds is not None:
            return int(run_seconds // scenario.interval_seconds)
        if scenario.cron is None:
            return 0
        begin = self._begin(scenario)
        counted_seconds = min(run_seconds, 7 * 86400.0)
        count = sum(1 for _ in firings(scenario.cron, begin, begin + timedelta(seconds=counted_seconds)))
        if count or counted_seconds == run_seconds:
            return round(count * run_seconds / counted_seconds)
        return sum(1 for _ in firings(scenario.cron, begin, begin + timedelta(seconds=run_seconds)))


def _without_runs(threshold: Threshold, scenarios: Mapping[str, TestScenario]) -> Iterator[Problem]:
    """A threshold on runs, where no scenario that it is about starts any: it could only fail."""
    modes = _RUN_METRICS.get(threshold.metric.path[0])
    about = [one for name, one in scenarios.items() if threshold.scenario in {None, name}]
    if modes is None or not threshold.metric.count_path or not about:
        return
    if not any(one.mode_name in modes or not isinstance(one.mode, TestMode) for one in about):
        what = f"there are no runs to tell {threshold.metric.name} from"
        yield Problem(threshold.where, what, f"use it with {', '.join(sorted(modes))}")


def _with_too_few_runs(
    thresholds: Iterable[Threshold], estimates: Mapping[str, Estimate], names: Collection[str]
) -> Iterator[Problem]:
    """Thresholds on quantiles that need more runs than will be started, where how many does not hang on guesses."""
    for one in thresholds:
        if one.metric.path[0] not in _RUN_METRICS or one.metric.fewest == 1:
            continue
        about = [name for name in names if one.scenario in {None, name}]
        known = [
            estimates[name] for name in about if name in estimates and not estimates[name].seconds_per_run
        ]
        expected = sum(guess.runs for guess in known)
        if len(known) == len(about) and expected < one.metric.fewest:
            what = f"needs {one.metric.fewest} runs, and {expected} are expected"
            yield Problem(one.where, what, "make the test longer, or take a lower quantile: else it fails")


def most_at_once(scenarios: Iterable[TestScenario], grace_seconds: float = 0.0) -> int:
    """Return how many scenarios overlap at most; one that starts when another ends does not overlap with it.

    `grace_seconds` is how long each goes on after its run time, in seconds; one that says so itself, for so long.
    """
    changes: list[tuple[float, int]] = []
    for scenario in scenarios:
        end = scenario.start_seconds + scenario.run_seconds
        if grace_seconds:
            end += grace_seconds if scenario.grace_seconds is None else scenario.grace_seconds
        changes += [(scenario.start_seconds, 1), (end, -1)]
    changes.sort()
    most = now = 0
    for _, step in changes:
        now += step
        most = max(most, now)
    return most


def _names(scenarios: Sequence[TestScenario]) -> list[str]:
    """Return a unique name for each scenario: its own, else its mode's with a number where there are several."""
    bases = [_safe_name(scenario.mode_name.lower().replace("_", "-")) for scenario in scenarios]
    unnamed = Counter(base for base, scenario in zip(bases, scenarios, strict=True) if scenario.name is None)
    taken = {scenario.name for scenario in scenarios}
    names: list[str] = []
    for base, scenario in zip(bases, scenarios, strict=True):
        name = scenario.name
        number = 0
        while name is None:
            number += 1
            candidate = base if unnamed[base] == 1 and number == 1 else f"{base}-{number}"
            if candidate not in taken:
                name = candidate
        taken.add(name)
        names.append(name)
    return names


def _safe_name(text: str) -> str:
    """Return a text as the name of a test: what file systems and metrics can hold."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:63] or "test"


def _label(path: Path) -> str:
    """Return what messages call a scenario file: its path, or its name where it is a built-in one."""
    return path.name if path.parent == SCENARIOS else str(path)
