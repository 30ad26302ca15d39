"""From two sides of executions to a `Comparison`: each metric with its difference, interval and verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from kfp_perf.compare.comparability import refuse_the_same, warnings_of
from kfp_perf.compare.compared_metrics import ComparedMetric, further_metrics, guards, primary_metrics
from kfp_perf.compare.sides import WARMUP
from kfp_perf.statistics.comparison import (
    FEWEST_EXECUTIONS,
    GUARD_POINTS,
    WITHIN,
    ChangeVerdict,
    ShareChange,
    compare,
    compare_shares,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kfp_perf.compare.sides import Side
    from kfp_perf.metrics.metric import Unit
    from kfp_perf.metrics.registry import Registry
    from kfp_perf.statistics.comparison import Change


class ComparisonVerdict(StrEnum):
    """What a comparison says of one metric of the new side."""

    SLOWER = "slower"
    FASTER = "faster"
    SAME = "same"
    TOO_LITTLE_DATA = "too little data"
    TOO_COARSE = "too coarse to tell"
    MORE_FAILURES = "more failures"
    NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True, slots=True)
class SideSummary:
    """A side as it was compared: its name, the folders of its executions, and what was left out, and why.

    `targets` are what it was executed on: an address with its name in the targets file, or the emulator.
    """

    name: str
    executions: tuple[str, ...]
    left_out: tuple[str, ...]
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SideValues:
    """The value of each execution of a side, None where there is none.

    `typical` is their geometric mean; the arithmetic one where a value is not positive, None where one is missing.
    """

    typical: float | None
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class MetricComparison:
    """One metric of both sides; `change`, `low` and `high` are relative, as in `statistics.comparison.Change`.

    `scenario` is None for the whole test. `unreached` has the shares of operations or runs that reached a value,
    where a quantile was not reached in some execution: these are compared in place of the times. `reason` says why
    there is no verdict, or what limits it (may be empty).
    """

    name: str
    scenario: str | None
    unit: Unit
    lower_is_better: bool
    primary: bool
    verdict: ComparisonVerdict
    baseline: SideValues
    new: SideValues
    change: float | None = None
    low: float | None = None
    high: float | None = None
    confidence: float | None = None
    smallest_found: float | None = None
    executions_needed: tuple[int | None, int | None] | None = None
    unreached: ShareChange | None = None
    reason: str = ""

    @property
    def label(self) -> str:
        """Its name, with that of the scenario where it is of one."""
        return self.name if self.scenario is None else f"{self.scenario}: {self.name}"

    @property
    def worst(self) -> float | None:
        """The end of the interval on the worse side, as a relative change for the worse; None without interval."""
        end = self.high if self.lower_is_better else self.low
        return None if end is None else end if self.lower_is_better else -end


@dataclass(frozen=True, slots=True)
class GuardComparison:
    """A success or error rate of both sides: means, and the change in points (0.01 is one).

    `worse`: it got worse by at least a point; `certain`: and the interval of the change excludes none.
    """

    name: str
    scenario: str | None
    baseline: float
    new: float
    change: ShareChange
    worse: bool
    certain: bool

    @property
    def label(self) -> str:
        """Its name, with that of the scenario where it is of one."""
        return self.name if self.scenario is None else f"{self.scenario}: {self.name}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was found of the new side against the baseline.

    `metrics` are the primary metrics, over which the error is divided, then further ones, each judged by itself.
    `within` is the relative change that counts as the same.
    """

    baseline: SideSummary
    new: SideSummary
    within: float
    paired: bool
    metrics: tuple[MetricComparison, ...]
    guards: tuple[GuardComparison, ...]
    warnings: tuple[str, ...]

    @property
    def primary(self) -> tuple[MetricComparison, ...]:
        """The metrics that decide."""
        return tuple(one for one in self.metrics if one.primary)

    def regressions(self, limit: float) -> list[str]:
        """What got worse: a primary metric that is slower by more than `limit`, a guard that is certainly worse."""
        found = []
        for one in self.primary:
            if one.verdict is not ComparisonVerdict.SLOWER:
                continue
            if one.change is None:
                found.append(f"{one.label}: fewer reached it")
            elif (change := one.change if one.lower_is_better else -one.change) > limit:
                found.append(f"{one.label}: slower by {_percent(change)}, more than {_percent(limit)}")
        return found + self._worse_guards()

    def not_excluded(self, limit: float) -> list[str]:
        """Primary metrics that may be slower by `limit` or more, and guards that are certainly worse."""
        found = []
        for one in self.primary:
            if one.worst is None:
                found.append(f"{one.label}: {one.verdict}, so no change is excluded")
            elif one.worst >= limit:
                worst = _percent(one.worst)
                found.append(f"{one.label}: may be slower by up to {worst}, not below {_percent(limit)}")
        return found + self._worse_guards()

    def _worse_guards(self) -> list[str]:
        return [
            f"{one.label}: from {_percent(one.baseline)} to {_percent(one.new)}"
            for one in self.guards
            if one.certain
        ]


def compare_sides(
    baseline: Side,
    new: Side,
    *,
    within: float = WITHIN,
    paired: bool = False,
    registry: Registry | None = None,
) -> Comparison:
    """Compare two sides. `paired`: the n-th executions of both were executed one after the other, as in a duel.

    Raises `InputError` where an execution stands on both sides, where a primary metric has no values, and
    `ValueError` for pairs of different numbers.
    """
    refuse_the_same(baseline, new)
    primary = primary_metrics(baseline, new, registry)
    found_guards = tuple(
        _guard(one, baseline, new, higher_is_better=better) for one, better in guards(baseline, new)
    )
    metrics = [
        _compared(one, baseline, new, within=within, paired=paired, metrics=len(primary), primary=True)
        for one in primary
    ]
    metrics += [
        _compared(one, baseline, new, within=within, paired=paired, metrics=1, primary=False)
        for one in further_metrics(baseline, new, primary)
    ]
    return Comparison(
        baseline=_summary(baseline),
        new=_summary(new),
        within=within,
        paired=paired,
        metrics=tuple(_guarded(one, found_guards) for one in metrics),
        guards=found_guards,
        warnings=tuple(warnings_of(baseline, new, paired=paired)),
    )


def _compared(
    compared: ComparedMetric,
    baseline: Side,
    new: Side,
    *,
    within: float,
    paired: bool,
    metrics: int,
    primary: bool,
) -> MetricComparison:
    sides = [tuple(map(compared.value_in, side.executions)) for side in (baseline, new)]
    found = MetricComparison(
        name=compared.metric.name,
        scenario=compared.scenario,
        unit=compared.metric.metric.unit,
        lower_is_better=compared.lower_is_better,
        primary=primary,
        verdict=ComparisonVerdict.NOT_COMPARABLE,
        baseline=SideValues(_geometric_mean(sides[0]), sides[0]),
        new=SideValues(_geometric_mean(sides[1]), sides[1]),
    )
    if any(compared.not_reached_in(one) for side in (baseline, new) for one in side.executions):
        return _by_share_reached(found, compared, baseline, new, metrics)
    values = [[value for value in side if value is not None] for side in sides]
    missing = sum(value is None for side in sides for value in side)
    if missing:
        return replace(found, reason=f"{missing} of {sum(map(len, sides))} executions have no value of it")
    if min(min(side) for side in values) <= 0.0:
        return replace(found, reason="a value is not positive, so there is no ratio")
    change = compare(*values, paired=paired, within=within, metrics=metrics)
    return replace(
        found,
        verdict=_verdict(change.verdict, lower_is_better=compared.lower_is_better),
        change=change.ratio,
        low=change.low,
        high=change.high,
        confidence=change.confidence,
        smallest_found=change.smallest_found,
        executions_needed=change.executions,
        reason=_reason(change),
    )


def _reason(change: Change) -> str:
    if change.verdict is ChangeVerdict.TOO_COARSE:
        return "the executions of a side do not differ at all, so their variation is not known"
    return change.reason


def _by_share_reached(
    found: MetricComparison, compared: ComparedMetric, baseline: Side, new: Side, metrics: int
) -> MetricComparison:
    """Compare how many reached a value, where one execution has no value because too few did."""
    shares = [list(map(compared.share_reached_in, side.executions)) for side in (baseline, new)]
    known = [[share for share in side if share is not None] for side in shares]
    if any(len(one) < len(side) for one, side in zip(known, shares, strict=True)):
        return replace(found, reason="it is not reached in some executions, and by how many is not known")
    change = compare_shares(*known, metrics=metrics)
    verdict = {
        ChangeVerdict.HIGHER: ComparisonVerdict.FASTER,
        ChangeVerdict.LOWER: ComparisonVerdict.SLOWER,
    }.get(change.verdict, ComparisonVerdict.TOO_LITTLE_DATA)
    few = min(map(len, known)) < FEWEST_EXECUTIONS
    reason = "not reached in some executions, so the share that reached it is compared"
    if few:
        reason += f"; at least {FEWEST_EXECUTIONS} executions a side are needed"
    return replace(found, verdict=verdict, unreached=change, confidence=change.confidence, reason=reason)


def _verdict(found: ChangeVerdict, *, lower_is_better: bool) -> ComparisonVerdict:
    match found:
        case ChangeVerdict.HIGHER:
            return ComparisonVerdict.SLOWER if lower_is_better else ComparisonVerdict.FASTER
        case ChangeVerdict.LOWER:
            return ComparisonVerdict.FASTER if lower_is_better else ComparisonVerdict.SLOWER
        case ChangeVerdict.SAME:
            return ComparisonVerdict.SAME
        case ChangeVerdict.TOO_COARSE:
            return ComparisonVerdict.TOO_COARSE
        case ChangeVerdict.TOO_LITTLE_DATA:
            return ComparisonVerdict.TOO_LITTLE_DATA


def _guard(compared: ComparedMetric, baseline: Side, new: Side, *, higher_is_better: bool) -> GuardComparison:
    before, after = ([compared.value_in(one) or 0.0 for one in side.executions] for side in (baseline, new))
    change = compare_shares(before, after)
    sign = -1.0 if higher_is_better else 1.0
    worse = sign * change.points >= GUARD_POINTS - 1e-9
    bad = ChangeVerdict.LOWER if higher_is_better else ChangeVerdict.HIGHER
    return GuardComparison(
        name=compared.metric.name,
        scenario=compared.scenario,
        baseline=math.fsum(before) / len(before),
        new=math.fsum(after) / len(after),
        change=change,
        worse=worse,
        certain=worse and change.verdict is bad,
    )


def _guarded(found: MetricComparison, guards: Sequence[GuardComparison]) -> MetricComparison:
    """Not faster where a success or error rate of the same scope got worse by a point."""
    own = [one for one in guards if one.scenario == found.scenario]
    # The rates of the only scenario are those of the whole test.
    worse = [one for one in (own if found.scenario is not None and own else guards) if one.worse]
    if found.verdict is not ComparisonVerdict.FASTER or not worse:
        return found
    reason = "not called faster: " + "; ".join(
        f"{one.label} went from {_percent(one.baseline)} to {_percent(one.new)}" for one in worse
    )
    return replace(found, verdict=ComparisonVerdict.MORE_FAILURES, reason=reason)


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def _geometric_mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return None
    if min(known) <= 0.0:
        return math.fsum(known) / len(known)
    return math.exp(math.fsum(map(math.log, known)) / len(known))


def _summary(side: Side) -> SideSummary:
    left_out = (*(f"{one}: {WARMUP}" for one in side.warmups), *side.left_out)
    executions = tuple(str(one.path) for one in side.executions)
    targets = dict.fromkeys(filter(None, (one.target for one in side.executions)))
    return SideSummary(side.name, executions, left_out, tuple(targets))
