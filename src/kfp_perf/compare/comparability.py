"""What makes two sides of a comparison hard to compare: CHECKS is a table of functions from sides to warnings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kfp_perf.compare.compared_metrics import declared_primary, number_in
from kfp_perf.errors import ExitCode, InputError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from kfp_perf.compare.compared_execution import ComparedExecution
    from kfp_perf.compare.sides import Side

    Check = Callable[[Side, Side], Iterator[str]]

#: Parts of a scenario file that do not change the load.
_JUDGING = frozenset({"thresholds", "primary"})

CACHED_POINTS = 0.05
"""By how much the share of cached runs may differ."""


def warnings_of(baseline: Side, new: Side, *, paired: bool = False) -> Iterator[str]:
    """Yield what a reader must know before they believe a difference; `paired` executions were interleaved."""
    for check in CHECKS:
        yield from check(baseline, new)
    if not paired:
        yield from _not_interleaved(baseline, new)


def load_warnings(baseline: Side, new: Side) -> Iterator[str]:
    """Yield those of the load alone, which are known before a test: of its scenario file and its pipelines."""
    for check in LOAD_CHECKS:
        yield from check(baseline, new)


def differences_within(side: Side) -> Iterator[str]:
    """Yield what differs between the executions of one side, which should be alike."""
    for check in CHECKS:
        if check not in {_states, _left_out}:
            yield from (one.replace(" of one side", "") for one in check(side, side))


def refuse_the_same(baseline: Side, new: Side) -> None:
    """Raise `InputError` where an execution stands on both sides."""
    places = {one.path.resolve() for one in baseline.executions}
    for one in new.executions:
        if one.path.resolve() in places:
            what = "stands on both sides: a result says nothing when it is compared with itself"
            remedy = "Name two different results; keep new ones out of the folder of the baseline."
            raise InputError(Problem(str(one.path), what, remedy))


def _differs(what: str, of: Callable[[ComparedExecution], Any]) -> Check:
    """A check that something is the same in all executions of both sides."""

    def check(baseline: Side, new: Side) -> Iterator[str]:
        before, after = ({_text(of(one)) for one in side.executions} for side in (baseline, new))
        if before != after:
            yield f"{what} differs: {_listed(before)} in the baseline, {_listed(after)} in the new results"
        elif len(before) > 1:
            yield f"{what} differs between executions of one side: {_listed(before)}"

    return check


def _text(value: Any) -> str:
    return "unknown" if value is None else str(value)


def _listed(values: set[str]) -> str:
    ordered = sorted(values)
    return (
        " and ".join(ordered) if len(ordered) < 4 else f"{', '.join(ordered[:3])} and {len(ordered) - 3} more"
    )


def _scenario(baseline: Side, new: Side) -> Iterator[str]:
    before, after = ({_scenario_of(one) for one in side.executions} for side in (baseline, new))
    if before != after:
        names = [
            _listed({_text(one.document.get("name")) for one in side.executions}) for side in (baseline, new)
        ]
        named = f": {names[0]} in the baseline, {names[1]} in the new results" if names[0] != names[1] else ""
        yield f"the scenario file differs{named}: a difference may come from the load"
    elif len(before) > 1:
        yield "the scenario file differs between executions of one side"


def _scenario_of(execution: ComparedExecution) -> str:
    """The content of the scenario file, without its layout and what only judges the results."""
    file = execution.document.get("scenario_file")
    text = str(file.get("text", "")) if isinstance(file, dict) else ""
    try:
        content = json.loads(text)
    except ValueError:
        return text
    whole = {"scenarios": content} if isinstance(content, list) else content
    if isinstance(whole, dict):
        scenarios = whole.get("scenarios")
        if isinstance(scenarios, list):
            whole = whole | {"scenarios": [_load_of(one) for one in scenarios]}
        whole = _load_of(whole)
    return json.dumps(whole, sort_keys=True)


def _load_of(part: Any) -> Any:
    return (
        {key: value for key, value in part.items() if key not in _JUDGING} if isinstance(part, dict) else part
    )


def _pipelines(baseline: Side, new: Side) -> Iterator[str]:
    before, after = (
        {name: digest for one in side.executions for name, digest in _digests(one).items()}
        for side in (baseline, new)
    )
    changed = sorted(name for name in before.keys() & after.keys() if before[name] != after[name])
    if changed:
        yield f"the content of the pipeline differs in scenario {', '.join(changed)}"


def _digests(execution: ComparedExecution) -> dict[str, str]:
    scenarios = execution.given.get("scenarios") or ()
    return {str(one.get("name")): one["pipeline"] for one in scenarios if one.get("pipeline")}


def _primary(baseline: Side, new: Side) -> Iterator[str]:
    before, after = (declared_primary(side.executions[0]) for side in (baseline, new))
    if before != after:
        yield "the two sides declare different primary metrics: those of the baseline are used"


def _states(baseline: Side, new: Side) -> Iterator[str]:
    for side in (baseline, new):
        for one in side.executions:
            verdict = _part(one, "verdict")
            code = verdict.get("exit_code")
            if code == ExitCode.INVALID:
                reasons = verdict.get("reasons") or ()
                first = f": {str(reasons[0]).splitlines()[0]}" if reasons else ""
                yield f"{one.path}: {verdict.get('text', 'invalid')}{first}"


def _cached(baseline: Side, new: Side) -> Iterator[str]:
    before, after = (
        [share for one in side.executions if (share := _cached_share(one)) is not None]
        for side in (baseline, new)
    )
    if not before or not after:
        return
    shares = sum(before) / len(before), sum(after) / len(after)
    if abs(shares[0] - shares[1]) > CACHED_POINTS:
        before_text, after_text = (f"{share * 100:.0f} %" for share in shares)
        yield (
            f"the share of cached runs differs: {before_text} in the baseline, {after_text} in the new results"
        )


def _cached_share(execution: ComparedExecution) -> float | None:
    metrics = execution.metrics(None)
    succeeded = number_in(metrics, "runs", "succeeded")
    cached = number_in(metrics, "runs", "cached_duration_seconds", "n") or 0.0
    return cached / succeeded if succeeded else None


def _left_out(baseline: Side, new: Side) -> Iterator[str]:
    for side in (baseline, new):
        yield from (f"left out: {one}" for one in side.left_out)


def _not_interleaved(baseline: Side, new: Side) -> Iterator[str]:
    times = [[one.started for one in side.executions] for side in (baseline, new)]
    known = [[time for time in side if time is not None] for side in times]
    if not known[0] or not known[1]:
        return
    if max(known[0]) < min(known[1]) or max(known[1]) < min(known[0]):
        yield (
            "the executions were not interleaved, one side followed the other: a drift of the environment is not "
            "excluded as the cause of a difference"
        )


def _part(execution: ComparedExecution, key: str) -> Mapping[str, Any]:
    found = execution.document.get(key)
    return found if isinstance(found, dict) else {}


def _machine(execution: ComparedExecution) -> str:
    environment = _part(execution, "environment")
    return f"{_text(environment.get('system'))} with {_text(environment.get('cpus'))} CPUs"


def _kind_of_target(execution: ComparedExecution) -> str:
    return "the emulator" if _part(execution, "target").get("emulator") else "a real server"


def _server(execution: ComparedExecution) -> str:
    target = _part(execution, "target")
    commit = target.get("commit")
    return f"{_text(target.get('version'))} ({commit})" if commit else _text(target.get("version"))


#: Checks of what a test is given, and of everything: each yields warnings.
LOAD_CHECKS: tuple[Check, ...] = (_scenario, _pipelines, _primary)
CHECKS: tuple[Check, ...] = (
    *LOAD_CHECKS,
    _differs("the kind of target", _kind_of_target),
    _differs("the timing profile of the emulator", lambda one: _part(one, "target").get("emulator_profile")),
    _differs("the version of the server", _server),
    _differs("the machine of the load generator", _machine),
    _differs("the version of kfp-perf", lambda one: _part(one, "environment").get("kfp_perf")),
    _states,
    _cached,
    _left_out,
)
