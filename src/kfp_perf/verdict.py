"""The verdict on a test: thresholds judged by its figures, and the exit code that follows."""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from kfp_perf.compare.baseline import Baseline, against_baseline
from kfp_perf.errors import ExitCode
from kfp_perf.judgement import Judged, Judgement, judged_against
from kfp_perf.metrics.metric import Unit
from kfp_perf.metrics.units import ALL_DIGITS, rounded, scale_of, text_of
from kfp_perf.thresholds import OPERATORS, SCENARIO_DEFAULTS, TEST_DEFAULTS, Threshold, parse_threshold

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from kfp_perf.metrics.figures import Figures
    from kfp_perf.metrics.window_files import WindowValue

_MOST_REASONS = 3
#: Means of runs, and the metric of how many runs they leave out; of an operation it is its error rate.
_BESIDE_MEANS = dict.fromkeys(("run.visible.mean", "run.duration.mean"), "run.success_rate")
#: The operation, with its purpose unless that is the load, and its variant.
_API_MEAN = re.compile(r"(api\.(?:[a-z]\w*\.)?[A-Z]\w*)(?:\.\w+)?\.latency\.mean")


def with_defaults(
    thresholds: Sequence[Threshold],
    lifted: Iterable[tuple[str | None, str]],
    figures: Figures,
    baseline: Baseline | None = None,
) -> list[Threshold]:
    """Return the thresholds, and the default ones after them.

    A default is left out where the file bounds that metric for the scenario or for the whole test, where it is
    `lifted` (pairs of scenario, None for the whole test, and metric), and where there is nothing to judge. Without
    a `baseline`, which may be accepted, a threshold that is relative to one bounds nothing.
    """
    bounding = [one for one in thresholds if one.margin is None or baseline is not None]
    taken = {(one.scenario, one.metric.name) for one in bounding} | set(lifted)
    found = [*thresholds]
    for scenario, name, condition in _defaults(figures):
        if taken.isdisjoint({(scenario, name), (None, name)}):
            parsed = parse_threshold(name, condition, "default", scenario)
            if isinstance(parsed, Threshold) and _judged(parsed, figures.of(scenario)).has_data:
                found.append(dataclasses.replace(parsed, default=True))
    return found


def _defaults(figures: Figures) -> Iterator[tuple[str | None, str, str]]:
    for scenario, metrics in figures.scenarios.items():
        calls = [name for name in (metrics.get("api") or {}).get("load", ()) if "." not in name]
        for pattern, condition in SCENARIO_DEFAULTS.items():
            names = [pattern.replace("{call}", call) for call in calls] if "{call}" in pattern else [pattern]
            yield from ((scenario, name, condition) for name in names)
    yield from ((None, name, condition) for name, condition in TEST_DEFAULTS.items())


def judge(
    thresholds: Iterable[Threshold],
    figures: Figures,
    baseline: Baseline | None = None,
    *,
    accept_undecided: bool = False,
    windows: Mapping[Threshold, WindowValue] | None = None,
    t0: float = 0.0,
) -> list[Judgement]:
    """Judge thresholds by the figures of their scenario, or of the whole test.

    A value that was made from too few others is not enough data, and fails: a quantile needs so many that one lies
    beyond it (p50 2, p90 10, p95 20, p99 100, p99.9 1000), anything else but a count needs one. A quantile that
    is not reached is longer than any bound. Where only two bounds of a value are known and the condition's is
    between them, it cannot be told, and fails. A threshold with `*` in its name is judged by the value that is
    worst. A mean is of what was answered or ended, so its upper bound is not kept where the threshold on the errors
    or successes beside it is not.

    A threshold relative to the `baseline` is judged by the interval of the change, as `compare` has it: kept if it
    ends within the margin, not kept if it begins beyond it, else it cannot be told, which fails unless
    `accept_undecided`. `windows` has the worst window of each sliding threshold that has one to judge, and `t0` is
    the start of the test in seconds since the Unix epoch.
    """
    thresholds = list(thresholds)
    comparisons = sum(
        len(one.metric.expanded(figures.of(one.scenario))) for one in thresholds if one.margin is not None
    )
    relative = _Relative(baseline, max(1, comparisons), accept_undecided)
    worst = windows or {}
    found = [
        _judged(threshold, figures.of(threshold.scenario), relative)
        if threshold.window_seconds is None
        else _judged_window(threshold, worst.get(threshold), t0)
        for threshold in thresholds
    ]
    return [_of_survivors(one, found) for one in found]


def why_failed(judgements: Sequence[Judgement]) -> str:
    """Why a test did not pass, in a sentence; empty where every threshold was kept."""
    failed = [one for one in judgements if not one.passed]
    if not failed:
        return ""
    if len(judgements) == 1:
        return f"{failed[0]}."
    reasons = [str(one) for one in failed[:_MOST_REASONS]]
    if len(failed) > len(reasons):
        reasons.append(f"and {len(failed) - len(reasons)} more")
    return f"{len(failed)} of {len(judgements)} thresholds failed: {'; '.join(reasons)}."


class _Relative(NamedTuple):
    """What thresholds that are relative to a baseline are judged by."""

    baseline: Baseline | None = None
    comparisons: int = 1
    accept_undecided: bool = False


def _judged(
    threshold: Threshold,
    metrics: Mapping[str, Any],
    relative: _Relative = _Relative(),  # noqa: B008  a tuple
) -> Judgement:
    named = threshold.metric.expanded(metrics)
    judgements = [_judged_one(dataclasses.replace(threshold, metric=one), metrics, relative) for one in named]
    if not judgements:
        return _judged_one(threshold, metrics, relative)
    return min(judgements, key=lambda one: (one.passed, -math.inf if one.margin is None else one.margin))


def _of_survivors(judged: Judgement, all_judged: Sequence[Judgement]) -> Judgement:
    """The judgement of a mean, with the threshold on errors or successes taken into account."""
    threshold = judged.threshold
    name = threshold.metric.name
    beside = _BESIDE_MEANS.get(name) or re.sub(_API_MEAN, r"\1.error_rate", name)
    if not judged.passed or beside == name or not threshold.comparison.startswith("<"):
        return judged
    for other in all_judged:
        scenarios = {threshold.scenario, other.threshold.scenario}
        if (
            other.judged is Judged.NOT_KEPT
            and other.threshold.metric.name == beside
            and (len(scenarios) == 1 or None in scenarios)
        ):
            reason = (
                f"is only of what was answered or ended, and {other.threshold.metric.name} {other.reason}"
            )
            return dataclasses.replace(judged, judged=Judged.NOT_KEPT, reason=reason)
    return judged


def _judged_one(threshold: Threshold, metrics: Mapping[str, Any], relative: _Relative) -> Judgement:
    metric = threshold.metric
    value, count = metric.value_in(metrics), metric.count_in(metrics)
    beyond = metric.not_reached_in(metrics)
    between = metric.between_in(metrics)
    judged, reason = Judged.NOT_ENOUGH_DATA, ""
    if count is not None and 0 < count < metric.fewest:
        reason = f"has not enough data: {count} of at least {metric.fewest} values"
    elif count == 0 or (value is None and not beyond and between is None):
        reason = f"has not enough data: {metric.metric.absent if count else 'there is none'}"
    elif between is not None:
        judged, reason = _judged_between(threshold, *between)
    elif threshold.margin is not None:
        new = [math.inf if value is None else value]
        found = against_baseline(threshold, new, relative.baseline, relative.comparisons)
        error, accepted = metric.error_in(metrics), relative.accept_undecided
        return judged_against(threshold, found, value, count, error=error, accepted=accepted)
    elif OPERATORS[threshold.comparison](math.inf if value is None else value, threshold.bound):
        judged = Judged.KEPT
    else:
        judged = Judged.NOT_KEPT
        is_ = "lies above all that was answered" if value is None else f"is {_formatted(value, threshold)}"
        reason = f"{is_}, not {threshold.condition}"
    interval, error = metric.interval_in(metrics), metric.error_in(metrics)
    accepted = threshold.margin is not None and relative.accept_undecided
    return Judgement(
        threshold, judged, value, interval, error, count, reason, beyond, between, accepted=accepted
    )


def _judged_between(threshold: Threshold, low: float, high: float) -> tuple[Judged, str]:
    """Judge a value that lies above `low` and is at most `high`, and say why it failed.

    No value is taken to be at a bound itself: `< 1s` is kept where `high` is 1 s.
    """
    bound, comparison = threshold.bound, threshold.comparison
    below, above = high <= bound, low >= bound
    if (comparison.startswith("<") and below) or (comparison.startswith(">") and above):
        return Judged.KEPT, ""
    ends = "" if math.isinf(high) else f" and {text_of(high, threshold.metric.metric.unit)}"
    lies = f"lies {'between' if ends else 'above'} {text_of(low, threshold.metric.metric.unit)}{ends}"
    if below or above:
        return Judged.NOT_KEPT, f"{lies}, not {threshold.condition}"
    return Judged.CANNOT_TELL, f"{lies}, so whether it is {threshold.condition} cannot be told"


def _judged_window(threshold: Threshold, worst: WindowValue | None, t0: float) -> Judgement:
    """The judgement of a sliding threshold by its worst window."""
    if worst is None:
        fewest = threshold.metric.fewest
        what = f"at least {fewest} values" if fewest > 1 else "a value"
        reason = f"has not enough data: the load had no whole window with {what}"
        return Judgement(threshold, Judged.NOT_ENOUGH_DATA, None, None, None, 0, reason)
    begin, end = worst.begin - t0, worst.end - t0
    value = math.inf if worst.value is None else worst.value
    kept = OPERATORS[threshold.comparison](value, threshold.bound)
    was = "lay above all that was answered" if worst.value is None else f"was {_formatted(value, threshold)}"
    reason = "" if kept else f"{was} from {_clock(begin)} to {_clock(end)} min, not {threshold.condition}"
    return Judgement(
        threshold,
        Judged.KEPT if kept else Judged.NOT_KEPT,
        worst.value,
        None,
        None,
        worst.operations,
        reason,
        worst.value is None,
        window=(begin, end),
    )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(max(0, math.floor(seconds)), 60)
    return f"{minutes}:{rest:02d}"


def aborted(judgements: Sequence[Judgement], by: Mapping[str, Any]) -> list[Judgement]:
    """The judgements of a test that one of its thresholds aborted: `by` is what was recorded then.

    What was known then decides: that threshold is not kept, whatever its figure became in the end.
    """

    def decided(one: Judgement) -> Judgement:
        threshold = one.threshold
        if threshold.default or (threshold.where, threshold.scenario) != (
            by.get("where"),
            by.get("scenario"),
        ):
            return one
        if one.judged is Judged.NOT_KEPT:
            return dataclasses.replace(one, aborted=True)
        window = by.get("window")
        return dataclasses.replace(
            one,
            judged=Judged.NOT_KEPT,
            value=by.get("value"),
            count=by.get("count"),
            not_reached=by.get("value") is None,
            reason=str(by.get("what")),
            window=(window[0], window[1]) if window else None,
            aborted=True,
        )

    return [decided(one) for one in judgements]


class Reason(NamedTuple):
    """One thing that keeps a test from passing: its exit code, the text, and the scenario if any."""

    code: ExitCode
    text: str
    scenario: str = ""


@dataclass(frozen=True, slots=True)
class TestVerdict:
    """The verdict on a test: a text, the exit code, and the reasons, the most severe first."""

    text: str
    exit_code: ExitCode
    reasons: tuple[str, ...]


_TEXTS = {
    ExitCode.GOOD: "passed",
    ExitCode.FAILED: "failed",
    # A scenario found its input to be wrong, or the result could not be saved.
    ExitCode.BAD_INPUT: "failed",
    ExitCode.TARGET: "the target failed",
    ExitCode.INTERRUPTED: "stopped before its end",
    ExitCode.INVALID: "invalid: generator saturated",
}


def decide(reasons: Iterable[Reason], judgements: Sequence[Judgement]) -> TestVerdict:
    """Return the verdict of the most severe reason. A text that several scenarios share is given once."""
    found = list(reasons)
    if why := why_failed(judgements):
        found.append(Reason(ExitCode.FAILED, why))
    code = ExitCode.worst(reason.code for reason in found)
    scenarios: dict[tuple[ExitCode, str], list[str]] = {}
    for reason in found:
        scenarios.setdefault((reason.code, reason.text), []).append(reason.scenario)
    ordered = sorted(scenarios.items(), key=lambda item: ExitCode.rank(item[0][0]))
    texts = tuple(
        f"{', '.join(named)}: {text}" if (named := [name for name in names if name]) else text
        for (_, text), names in ordered
    )
    return TestVerdict(_TEXTS[code], code, texts)


def _formatted(value: float, threshold: Threshold) -> str:
    """Format a value with three digits, or with as many as it takes to differ from the bound."""
    unit = threshold.metric.metric.unit
    factor, sign = scale_of(value, unit)
    holds = OPERATORS[threshold.comparison]
    digits = ALL_DIGITS if unit is Unit.COUNT else 3
    while digits < ALL_DIGITS and holds(rounded(value * factor, digits) / factor, threshold.bound):
        digits += 1
    return f"{rounded(value * factor, digits):.{ALL_DIGITS}g}{sign}"
