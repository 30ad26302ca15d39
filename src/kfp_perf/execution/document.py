"""The result of a test, computed from its files alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from kfp_perf.compare.baseline import baseline_in
from kfp_perf.errors import ExitCode
from kfp_perf.execution.given import given_thresholds
from kfp_perf.metrics.figures import Figures, figures_of
from kfp_perf.metrics.window_files import worst_window
from kfp_perf.reports.quantities import count_of
from kfp_perf.result.records import Outcome
from kfp_perf.result.timestamps import epoch_of, utc_of
from kfp_perf.scenario.modes import MODES
from kfp_perf.verdict import Reason, aborted, decide, judge, with_defaults

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from kfp_perf.compare.baseline import Baseline
    from kfp_perf.metrics.window_files import WindowValue
    from kfp_perf.result.reader import ScenarioFiles, TestResult
    from kfp_perf.result.scenario_writer import ScenarioInfo
    from kfp_perf.thresholds import Threshold


_MODES_OF_RUNS = frozenset(mode.value for mode, entry in MODES.items() if entry.starts_runs)


def result_document(
    result: TestResult,
    custom: Mapping[str, Any] | None = None,
    finished: float | None = None,
    *,
    given: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The result of a test from its folder: figures, thresholds and verdict.

    Times are UTC in text, durations are in seconds. Works while scenarios still run, and for a test that was
    killed: `complete_until` is then the time of the last write. `custom` are the users' own figures of the whole
    test. `finished` is when the test was over (None: the time of the last write). `given` is used in place of
    `given.json`, to judge the test by another baseline.
    """
    given, health = result.given if given is None else given, result.health
    scenarios = result.scenarios
    infos = [one.info for one in scenarios]
    figures = figures_of(scenarios, result.evidence)
    in_flight = _in_flight(scenarios, health)
    _count_cut_off(figures, in_flight, infos)
    figures = Figures(figures.scenarios, {**(custom or {}), **figures.total})
    thresholds = list(given_thresholds(given))
    lifted = [(scenario, metric) for scenario, metric in given.get("lifted") or ()]
    baseline = baseline_in(given)
    judgements = judge(
        with_defaults(thresholds, lifted, figures, baseline),
        figures,
        baseline,
        windows=_windows(thresholds, scenarios),
        t0=_t0(given, infos),
        accept_undecided=(given.get("configuration") or {}).get("undecided") == "pass",
    )
    early = health.get("stopped_early") or {}
    if one := early.get("threshold"):
        judgements = aborted(judgements, one)
    last = max((_last_written(one) for one in scenarios), default=0.0)
    ended = bool(infos) and all(info.ended for info in infos)
    started = epoch_of(given.get("started")) or 0.0
    over = finished or last or started
    verdict = decide(_reasons(infos, health, last, in_flight), judgements)
    target = given.get("target") or {}
    lines = {
        one.get("name"): one["position"][0] for one in given.get("scenarios") or () if one.get("position")
    }
    return {
        "name": given.get("name", result.path.name),
        "started": utc_of(started),
        "finished": utc_of(over),
        "elapsed_seconds": max(0.0, over - started),
        "complete": ended,
        "complete_until": None if ended else utc_of(last or started),
        "stopped_early": health.get("stopped_early"),
        "verdict": {
            "text": verdict.text,
            "exit_code": int(verdict.exit_code),
            "reasons": list(verdict.reasons),
            "emulator": bool(target.get("emulator")),
        },
        "target": target,
        "declared_metrics": given.get("declared_metrics") or [],
        "thresholds": [judgement.document() for judgement in judgements],
        "total": _plain(figures.total),
        "scenarios": [
            _scenario(info, figures.of(info.name), in_flight.get(info.name, 0), lines.get(info.name))
            for info in infos
        ],
        "evidence": msgspec.to_builtins(result.evidence.sources()),
        "generator": health.get("generator") or {},
        "health": health.get("health") or {},
        "baseline": _named(baseline),
        "warnings": [*(given.get("warnings") or ()), *(baseline.warnings if baseline else ())],
        "leftovers": [line for info in infos for line in info.leftovers],
        "environment": given.get("environment") or {},
        "configuration": given.get("configuration") or {},
        "scenario_file": given.get("scenario_file") or {"path": "", "text": ""},
    }


def _named(baseline: Baseline | None) -> dict[str, Any] | None:
    if baseline is None:
        return None
    return {
        "name": baseline.name,
        "executions": list(baseline.executions),
        "left_out": list(baseline.left_out),
    }


def _windows(
    thresholds: Sequence[Threshold], scenarios: Sequence[ScenarioFiles]
) -> dict[Threshold, WindowValue]:
    """The worst window of each sliding threshold that has one to judge."""
    found = {}
    for one in thresholds:
        if one.window_seconds is None or one.windowed is None:
            continue
        about = [files for files in scenarios if one.scenario in {None, files.info.name}]
        worst = worst_window(about, one.windowed, one.window_seconds, one.comparison, one.bound)
        if worst is not None:
            found[one] = worst
    return found


def _t0(given: dict[str, Any], infos: Sequence[ScenarioInfo]) -> float:
    """The start of the test, in seconds since the Unix epoch; 0.0 where no scenario has started."""
    starts = {one.get("name"): float(one.get("start_seconds") or 0.0) for one in given.get("scenarios") or ()}
    return min((info.start_at - starts.get(info.name, 0.0) for info in infos if info.start_at), default=0.0)


def _in_flight(scenarios: Sequence[ScenarioFiles], health: dict[str, Any]) -> dict[str, int]:
    """The number of runs in flight in each scenario that did not end: nothing else records their outcome.

    From the counters that the execution wrote when it left the scenarios, or else from the scenario's last ones.
    """
    left: dict[str, dict[str, Any]] = health.get("left") or {}
    found: dict[str, int] = {}
    for one in scenarios:
        info = one.info
        if info.measured:
            continue
        counters = left.get(info.name)
        if counters is None:
            counters = {}
            for state in one.states():
                counters = state.counters
        if info.mode in _MODES_OF_RUNS and counters.get("started"):
            # Some of those that were in flight may have been recorded since.
            recorded = sum(run.outcome is not Outcome.NEVER_STARTED for run in one.runs())
            found[info.name] = max(0, int(counters["started"]) - recorded)
        else:
            found[info.name] = int(counters.get("in_flight", 0))
    return {name: count for name, count in found.items() if count}


def _count_cut_off(figures: Figures, in_flight: Mapping[str, int], infos: Sequence[ScenarioInfo]) -> None:
    """Count runs in flight as cut off, in the figures of their scenario and of the whole test."""
    for info in infos:
        if info.mode in _MODES_OF_RUNS:
            for families in (figures.scenarios.get(info.name, {}), figures.total):
                if "runs" in families:
                    families["runs"]["cut_off"] += in_flight.get(info.name, 0)


def _reasons(
    infos: Sequence[ScenarioInfo], health: dict[str, Any], last: float, in_flight: Mapping[str, int]
) -> Iterator[Reason]:
    """Yield what keeps the test from passing, besides its thresholds."""
    for info in infos:
        if info.error:
            yield Reason(ExitCode(info.exit_code), info.error, info.name)
    early = health.get("stopped_early") or {}
    if early.get("threshold"):
        yield Reason(ExitCode.FAILED, str(early["reason"]))
    for code, text in health.get("reasons") or ():
        yield Reason(ExitCode(code), str(text))
    if not health.get("over") and not (infos and all(info.ended for info in infos)):
        yield Reason(ExitCode.INTERRUPTED, _why_killed(infos, last))
    if count := sum(in_flight.values()):
        yield Reason(
            ExitCode.INTERRUPTED,
            f"In flight then: {count_of(count, 'operation')}; it is not known how they ended.",
        )


def _why_killed(infos: Sequence[ScenarioInfo], last: float) -> str:
    if infos and all(info.measured for info in infos):
        return (
            "The test was killed while it cleaned up: its measurements are complete, but objects that it created "
            "may still be on the server (see `kfp-perf cleanup`)."
        )
    if last:
        return f"The test was killed before its end; its files are complete until {utc_of(last)}."
    return "The test was killed before it had measured anything."


def _last_written(files: ScenarioFiles) -> float:
    """When the last thing of a scenario was written, in seconds since the Unix epoch; 0.0: nothing was."""
    info = files.info
    last = max(info.started, info.finished)
    for state in files.states():
        last = max(last, float(state.counters.get("at", 0.0)))
    return last


def _scenario(
    info: ScenarioInfo, families: dict[str, Any], in_flight: int, line: int | None
) -> dict[str, Any]:
    return {
        "name": info.name,
        "mode": info.mode,
        "line": line,
        "started": utc_of(info.started) if info.started else None,
        "finished": utc_of(info.finished) if info.finished else None,
        "error": info.error or None,
        "exit_code": info.exit_code,
        "warnings": list(info.warnings),
        "leftovers": list(info.leftovers),
        "in_flight": in_flight,
        "metrics": _plain(families),
    }


def _plain(families: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(families, enc_hook=str)
    return found
