"""The checks of a plan: functions from a draft to problems, in four tables.

An error keeps the test from starting, a warning does not. To add a check: a function, and its place in a table.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from kfp_perf.config import variable_name
from kfp_perf.errors import Problem
from kfp_perf.plan.draft import firings_within
from kfp_perf.plan.limits import (
    FILES_OF_THE_PROCESS,
    FILES_PER_SCENARIO,
    USUAL_GRACE_SECONDS,
    Demand,
    connections_needed,
    most_at_once,
    peak,
)
from kfp_perf.result.files import folder_key, safe_name
from kfp_perf.scenario.cron import firings
from kfp_perf.scenario.model import TestScenario
from kfp_perf.scenario.modes import MODES
from kfp_perf.scenario.rules import unused_fields
from kfp_perf.thresholds import Threshold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from kfp_perf.plan.draft import Draft

    ScenarioCheck = Callable[[Draft, int, TestScenario], Iterable[Problem]]
    FileCheck = Callable[[Draft], Iterable[Problem]]

PREFILL_CAP = 10_000
"""The most rows that one scenario may create before its start without confirmation."""

CONTROLLER_WAIT_SECONDS = 10.0
"""KFP's controller waits this long after each run that it starts before it looks at the run's schedule again."""

_MODE_METRICS = frozenset().union(*(mode.metrics for mode in MODES.values()))
_RUN_METRICS = frozenset().union(*(mode.metrics for mode in MODES.values() if mode.starts_runs))


def errors_of(draft: Draft) -> Iterator[Problem]:
    """Yield what keeps a test from starting."""
    yield from _problems(draft, SCENARIO_ERRORS, FILE_ERRORS)


def warnings_of(draft: Draft) -> Iterator[Problem]:
    """Yield warnings about a test that can start."""
    yield from _problems(draft, SCENARIO_WARNINGS, FILE_WARNINGS)


def _problems(
    draft: Draft, of_scenarios: Iterable[ScenarioCheck], of_files: Iterable[FileCheck]
) -> Iterator[Problem]:
    for index, scenario in draft.scenarios.items():
        for of_scenario in of_scenarios:
            yield from of_scenario(draft, index, scenario)
    for of_file in of_files:
        yield from of_file(draft)


def too_many_rows(draft: Draft, index: int, scenario: TestScenario) -> Iterator[Problem]:
    """More rows beforehand than are created without confirmation."""
    rows = scenario.prefill.total if scenario.prefill else 0
    if rows > PREFILL_CAP and not draft.assume_yes:
        what = f"would create {rows} rows, more than {PREFILL_CAP}"
        yield Problem(draft.parsed.where(index, ("prefill",)), what, "confirm it with --yes")


def pipeline_missing_or_invalid(draft: Draft, index: int, scenario: TestScenario) -> Iterator[Problem]:
    """No pipeline where runs need one, or a file that the server would refuse."""
    if scenario.pipeline_file_name is None and scenario.mode_entry.starts_runs:
        where = draft.parsed.where(index, ("pipelineFileName",))
        what = f"is missing: mode {scenario.mode_name} needs a pipeline"
        yield Problem(where, what, 'name a compiled pipeline, for example the built-in "hello.yaml"')
    package = draft.pipelines.get(index, ())
    if isinstance(package, tuple):
        yield from package


def parameters_do_not_fit(draft: Draft, index: int, scenario: TestScenario) -> Iterator[Problem]:
    """Values that the pipeline of runs does not take."""
    package = draft.pipelines.get(index, ())
    if scenario.mode_entry.starts_runs and not isinstance(package, tuple):
        for fault in package.check_parameters(scenario.params):
            where = draft.parsed.where(index, ("params", fault.where))
            yield Problem(where, fault.what, fault.remedy)


def runs_go_wrong(draft: Draft, index: int, scenario: TestScenario) -> Iterator[Problem]:
    """Runs whose tasks need values that KFP does not give them, or do not run as they are meant to."""
    package = draft.pipelines.get(index, ())
    if scenario.mode_entry.starts_runs and not isinstance(package, tuple):
        for fault in package.foreseen_problems(scenario.params):
            is_parameter = fault.where in package.parameters
            where = draft.parsed.where(
                index, ("params", fault.where) if is_parameter else ("pipelineFileName",)
            )
            what = fault.what if is_parameter else f"{fault.where} {fault.what}"
            yield Problem(where, what, fault.remedy)


def names_repeated(draft: Draft) -> Iterator[Problem]:
    """A name that several scenarios have, or whose folder in the result is that of another scenario."""
    named = {index: scenario.name for index, scenario in draft.scenarios.items() if scenario.name}
    given = Counter(named.values())
    for index, name in named.items():
        alike = sorted(other for other in given if other != name and folder_key(other) == folder_key(name))
        if given[name] > 1:
            what = f'"{name}" is the name of {given[name]} scenarios'
        elif alike:
            what = f'"{name}" would share the folder "{safe_name(name)}" of the result with "{alike[0]}"'
        else:
            continue
        remedy = (
            "that differs by more than case and signs within 60 characters"
            if alike
            else "of its own, or none"
        )
        yield Problem(draft.parsed.where(index, ("name",)), what, f"give each a name {remedy}")


def pool_smaller_than_overlap(draft: Draft) -> Iterator[Problem]:
    """A pool of threads in which scenarios that overlap could not start on time."""
    size, overlap = draft.config.pool_size, most_at_once(draft.scenarios.values())
    if size is not None and size < overlap:
        what = f"is {size}, but {overlap} scenarios of {draft.parsed.label} overlap"
        remedy = f"set it to {overlap} or more, or leave it out"
        yield Problem(variable_name(type(draft.config), "pool_size"), what, remedy)


def thresholds_invalid(draft: Draft) -> Iterator[Problem]:
    """Conditions that cannot be read."""
    return (one for one in draft.thresholds if isinstance(one, Problem))


def thresholds_without_values(draft: Draft) -> Iterator[Problem]:
    """A threshold on values that no scenario it is about would have: it could only fail."""
    for threshold in _valid(draft):
        family, about = threshold.metric.path[0], draft.about(threshold)
        if not threshold.metric.count_path or family not in _MODE_METRICS or not about:
            continue
        if not any(family in draft.scenarios[index].mode_entry.metrics for index in about):
            modes = [mode.name for mode, entry in MODES.items() if family in entry.metrics]
            what = f"would have no values of {threshold.metric.name}: no scenario that it is about has any"
            yield Problem(threshold.where, what, f"use it with {', '.join(modes)}")


def windows_longer_than_the_load(draft: Draft) -> Iterator[Problem]:
    """A window that is never whole, or a delay after which nothing is left to abort."""
    for threshold in _valid(draft):
        about = [draft.scenarios[index] for index in draft.about(threshold)]
        if not about:
            continue
        begin = min(one.start_seconds + one.warmup_seconds for one in about)
        end = max(one.start_seconds + one.run_seconds for one in about)
        for what, seconds in (
            ("a window", threshold.window_seconds),
            ("a delay", threshold.delay_seconds),
        ):
            if seconds and seconds > end - begin:
                problem = (
                    f"has {what} of {seconds:g} s, and the load lasts {end - begin:g} s after its warm-up"
                )
                yield Problem(threshold.where, problem, "make it shorter, or the test longer")


def fields_not_used(draft: Draft, index: int, scenario: TestScenario) -> Iterator[Problem]:
    """Fields that the mode does not use, and that are not errors there."""
    for attribute in unused_fields(scenario):
        alias = TestScenario.model_fields[attribute].alias or attribute
        what = f"is not used by mode {scenario.mode_name}"
        yield Problem(draft.parsed.where(index, (alias,)), what, "remove it")


def namespace_not_used(draft: Draft, index: int, scenario: TestScenario) -> Iterator[Problem]:
    """A namespace for a server that has none."""
    if scenario.namespace is not None and not draft.config.IS_KUBEFLOW_MODE:
        where = draft.parsed.where(index, ("namespace",))
        what = "is not used: a single-user server has no namespaces"
        yield Problem(where, what, "set isKubeflowMode=true, or remove it")


def interval_too_short(draft: Draft, index: int, scenario: TestScenario) -> Iterator[Problem]:
    """A schedule that fires more often than the controller starts runs of it."""
    interval = scenario.interval_seconds if _is_scheduled(scenario) else None
    if interval is not None and interval < CONTROLLER_WAIT_SECONDS:
        what = f"is shorter than the {CONTROLLER_WAIT_SECONDS:g} s that KFP's controller waits after each run"
        remedy = "make it longer, or have more schedules (numTimes): the runs of this one fall behind"
        yield Problem(draft.parsed.where(index, ("interval",)), what, remedy)


def schedule_never_fires(draft: Draft, index: int, scenario: TestScenario) -> Iterator[Problem]:
    """A schedule that is not due within the run time."""
    begin = draft.begin(scenario)
    if not _is_scheduled(scenario) or firings_within(scenario, begin):
        return
    key = "cron" if scenario.cron is not None else "interval"
    what = f"does not fire within runTime ({scenario.run_seconds:g} s): no run would be started"
    remedy = "make runTime longer, or let it fire more often"
    if scenario.cron is not None and (first := next(firings(scenario.cron, begin), None)):
        remedy += f"; it would fire next at {first:%Y-%m-%d %H:%M} UTC"
    yield Problem(draft.parsed.where(index, (key,)), what, remedy)


def too_few_connections(draft: Draft, index: int, scenario: TestScenario) -> Iterator[Problem]:
    """More requests at once than the scenario may have connections."""
    limit, needed = draft.config.max_connections, connections_needed(scenario)
    if needed <= limit:
        return
    field = "stages" if scenario.stages else "arrivalRate" if scenario.arrival_rate else "numTimes"
    variable = variable_name(type(draft.config), "max_connections")
    what = (
        f"may need {needed} connections at once, and {variable} allows {limit}: requests would wait for one"
    )
    remedy = f"set {variable} to {needed} or more, or ask for less"
    yield Problem(draft.parsed.where(index, (field,)), what, remedy)


def pool_smaller_than_overlap_with_ends(draft: Draft) -> Iterator[Problem]:
    """A pool of threads in which scenarios may have to wait for the end of earlier ones."""
    size = draft.config.pool_size
    needed = most_at_once(draft.scenarios.values(), USUAL_GRACE_SECONDS)
    if size is not None and size < needed:
        what = f"is {size}: scenarios that follow their last runs, or delete them, make later ones wait"
        remedy = f"set it to {needed} or more, or leave it out"
        yield Problem(variable_name(type(draft.config), "pool_size"), what, remedy)


def too_few_open_files(draft: Draft) -> Iterator[Problem]:
    """More files and connections at once than the process may have open."""
    limit = draft.limits.open_files
    needed, holders = peak(_connections(draft, FILES_PER_SCENARIO), USUAL_GRACE_SECONDS)
    needed += FILES_OF_THE_PROCESS
    if limit is not None and needed > limit:
        what = f"may need {needed} open files at once, and this process may have {limit}: {_names(holders)}"
        remedy = f"raise the limit with `ulimit -n {needed}`, or ask for less at a time"
        yield Problem(draft.parsed.label, what, remedy)


def too_few_ports(draft: Draft) -> Iterator[Problem]:
    """More connections at once than there are local ports to make them from."""
    limit = draft.limits.ports
    needed, holders = peak(_connections(draft), USUAL_GRACE_SECONDS)
    if limit is not None and needed > limit:
        what = f"may need {needed} connections at once, and there are {limit} local ports: {_names(holders)}"
        remedy = "widen net.ipv4.ip_local_port_range, or ask for less at a time"
        yield Problem(draft.parsed.label, what, remedy)


def too_few_runs(draft: Draft) -> Iterator[Problem]:
    """A quantile that needs more runs than will be started, where how many does not depend on assumptions."""
    for threshold in _valid(draft):
        metric, about = threshold.metric, draft.about(threshold)
        if metric.path[0] not in _RUN_METRICS or metric.fewest == 1:
            continue
        known = [
            draft.estimates[index]
            for index in about
            if index in draft.estimates and not draft.estimates[index].seconds_per_run
        ]
        expected = sum(guess.runs for guess in known)
        if len(known) == len(about) and expected < metric.fewest:
            what = f"needs {metric.fewest} runs, and {expected} are expected: it would fail"
            yield Problem(threshold.where, what, "make the test longer, or take a lower quantile")


def bound_within_a_bucket(draft: Draft) -> Iterator[Problem]:
    """A bound within a bucket, on a quantile that is known from the buckets of a histogram only."""
    for threshold in _valid(draft):
        buckets, bound = threshold.metric.metric.buckets, threshold.bound
        if not buckets or threshold.metric.statistic == "mean" or bound in buckets or bound > buckets[-1]:
            continue
        high = next(one for one in buckets if one > bound)
        low = max((one for one in buckets if one < bound), default=0.0)
        nearest = min((one for one in (low, high) if one), key=lambda one: abs(math.log(one / bound)))
        what = (
            f"{threshold.condition} lies within a bucket of the histogram, from {_bucket(low)} to "
            f"{_bucket(high)}: a quantile in it cannot be judged, and fails"
        )
        remedy = f"take the bound of a bucket, of which {_bucket(nearest)} is the nearest"
        yield Problem(threshold.where, what, remedy)


def _bucket(bound: float) -> str:
    """The bound of a bucket as a condition has it."""
    return f"{bound:g}s" if bound >= 1.0 or not bound else f"{bound * 1000:g}ms"


def _is_scheduled(scenario: TestScenario) -> bool:
    """Whether a scenario is of a built-in mode that fires by a schedule."""
    return scenario.mode in MODES and "cron" in scenario.mode_entry.fields


def _valid(draft: Draft) -> Iterator[Threshold]:
    return (one for one in draft.thresholds if isinstance(one, Threshold))


def _connections(draft: Draft, more: int = 0) -> Iterator[Demand]:
    """Yield the connections that each scenario may have, and `more` of something for each."""
    for index, scenario in draft.scenarios.items():
        connections = min(connections_needed(scenario), draft.config.max_connections)
        yield Demand(draft.names[index], scenario, connections + more)


def _names(holders: list[Demand]) -> str:
    """Name the scenarios that need most."""
    named = ", ".join(f"{holder.name} {holder.amount}" for holder in holders[:3])
    return f"{named} and {len(holders) - 3} more" if len(holders) > 3 else named


SCENARIO_ERRORS: tuple[ScenarioCheck, ...] = (
    too_many_rows,
    pipeline_missing_or_invalid,
    parameters_do_not_fit,
)
FILE_ERRORS: tuple[FileCheck, ...] = (
    names_repeated,
    pool_smaller_than_overlap,
    thresholds_invalid,
    thresholds_without_values,
    windows_longer_than_the_load,
)
SCENARIO_WARNINGS: tuple[ScenarioCheck, ...] = (
    fields_not_used,
    namespace_not_used,
    interval_too_short,
    schedule_never_fires,
    too_few_connections,
    runs_go_wrong,
)
FILE_WARNINGS: tuple[FileCheck, ...] = (
    pool_smaller_than_overlap_with_ends,
    too_few_open_files,
    too_few_ports,
    too_few_runs,
    bound_within_a_bucket,
)
