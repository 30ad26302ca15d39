"""The search: from the plateaus that were measured to the next one, or to the end of the search.

It is a pure function of values, so that it can be simulated, and resumed from what a study has on disk.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from kfp_perf.statistics.hinge import GrowthAt, fit_hinge
from kfp_perf.studies.capacity.plateau import RAMP_GROWTH_BOUND, Part, PlannedPlateau, Plateau

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_PLATEAUS = 20
RUNS_AT_PRECISION = 60.0
"""Runs of a plateau times precision: 600 at 10 %, 1,200 at 5 %."""
WIDENED = 1.02
"""By how much the interval is wider than the bracket: a plateau of 1 or 2 % too much is often not told apart."""

_JUST_BELOW = 1.0 - 1e-6

LIGHT_RUNS = 12
RAMP_RUNS = 120
RAMP_MEASURED = 2.5
RAMP_FILLING = 1.5
PLATEAU_FILLING = 2.0
"""Times to fill, in times of the 90 % quantile from due to visible."""

FEWEST_FILL_SECONDS = 3.0
FEWEST_RAMP_SECONDS = 12.0
FEWEST_PLATEAU_SECONDS = 30.0
"""Reads are answered in milliseconds; counts are per second, and a machine has slow seconds."""

DESCENT = 8.0
"""How far below the first rate the search goes, and how far below a rate that did not hold at once."""
STEP_BELOW = 0.9
"""Where the next rate stands within the interval that would end the search; 1 is its edge."""


@dataclass(frozen=True, slots=True)
class SearchLimits:
    """What a search is given: rates are operations a second, times are seconds.

    `first_rate` is the light load that it begins with, `highest_rate` the one beyond which it does not go. With
    `closed`, rates are slots of a closed load: whole numbers, and `light_seconds` is how long the first load lasts.
    """

    first_rate: float
    highest_rate: float = math.inf
    precision: float = 0.1
    longest_seconds: float = math.inf
    confirm: bool = False
    most_plateaus: int = MOST_PLATEAUS
    closed: bool = False
    light_seconds: float = 120.0

    @property
    def runs(self) -> int:
        """How many operations a plateau measures."""
        return math.ceil(RUNS_AT_PRECISION / self.precision - 1e-9)

    def rounded(self, rate: float) -> float:
        """The rate as it is written into a scenario: four digits a minute, or whole slots."""
        return float(max(1, round(rate))) if self.closed else float(f"{rate * 60.0:.4g}") / 60.0

    @property
    def ratio(self) -> float:
        """How far apart the ends of the bracket may be."""
        return 1.0 + 2.0 * self.precision


class SearchEnd(StrEnum):
    """How a search ended."""

    FOUND = "found"
    AT_LEAST = "at least"  # the highest rate of the search held
    BELOW = "below"  # the lowest rate that was tried did not hold
    PLATEAUS = "plateaus"  # no more plateaus are allowed
    DURATION = "duration"  # the next plateau would take too long
    INTERRUPTED = "interrupted"
    OUTAGE = "outage"
    INVALID = "invalid"
    NO_LOAD = "no load"  # a plateau could not be set up


@dataclass(frozen=True, slots=True)
class Bracket:
    """The highest full plateau that held, and the lowest above it that did not; None: there is none yet."""

    held: float | None = None
    failed: float | None = None

    def is_closed(self, limits: SearchLimits) -> bool:
        """Whether both ends are known, and close enough to each other."""
        if self.held is None or self.failed is None:
            return False
        return self.failed <= self.held * limits.ratio * (1 + 1e-9) or (
            limits.closed and self.failed - self.held <= 1.0
        )


@dataclass(frozen=True, slots=True)
class CapacityEstimate:
    """The result of a search, in operations a second.

    `rate` is None where the bracket was not closed. `low` and `high` are the interval, each None where the search
    did not find it. `bracket` is the interval before it was widened.
    """

    bracket: Bracket
    rate: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class _SoFar:
    """What the plateaus so far say."""

    limits: SearchLimits
    done: tuple[Plateau, ...]
    bracket: Bracket = field(default_factory=Bracket)

    @property
    def visible_p90(self) -> float:
        """The longest of those of the plateaus that held, in seconds."""
        known = [one.visible_p90 for one in self.done if one.held and one.visible_p90 is not None]
        known = known or [one.visible_p90 for one in self.done if one.visible_p90 is not None]
        return max(known, default=0.0)

    @property
    def ceiling(self) -> float | None:
        """The lowest rate that did not hold, in whatever part, above the highest full plateau that held."""
        held = self.bracket.held or 0.0
        return min((one.rate for one in self.done if not one.held and one.rate > held), default=None)

    def step(self, part: Part, rate: float) -> PlannedPlateau:
        """A plateau of a part at a rate."""
        limits, typical = self.limits, self.visible_p90
        rate = limits.rounded(rate)
        # Operations a second; those of a closed load by Little's law.
        flow = rate / max(typical, 1e-3) if limits.closed else rate
        if part is Part.LIGHT:
            seconds = limits.light_seconds if limits.closed else LIGHT_RUNS / rate
            return PlannedPlateau(part, rate, 0.0, max(seconds, FEWEST_RAMP_SECONDS))
        if part is Part.RAMP:
            # At low rates fewer runs do: only growth above 15 % counts.
            seconds = max(min(RAMP_RUNS / flow, RAMP_MEASURED * typical), typical)
            return PlannedPlateau(
                part,
                rate,
                max(RAMP_FILLING * typical, FEWEST_FILL_SECONDS),
                max(seconds, FEWEST_RAMP_SECONDS),
                typical,
            )
        return PlannedPlateau(
            part,
            rate,
            max(PLATEAU_FILLING * typical, FEWEST_FILL_SECONDS),
            max(limits.runs / flow, FEWEST_PLATEAU_SECONDS),
            typical,
        )


def bracket_of(done: Sequence[Plateau]) -> Bracket:
    """The bracket of the full plateaus, and of those of the ramp that did not hold.

    A rate that was measured twice with different outcomes is in neither end.
    """
    outcomes: dict[float, set[bool]] = {}
    for one in done:
        if one.step.part is Part.PLATEAU:
            outcomes.setdefault(one.rate, set()).add(one.held)
    failed = min((rate for rate, held in outcomes.items() if held == {False}), default=None)
    held = max(
        (rate for rate, kept in outcomes.items() if kept == {True} and (failed is None or rate < failed)),
        default=None,
    )
    return Bracket(held, failed)


def next_step(limits: SearchLimits, done: Sequence[Plateau]) -> PlannedPlateau | SearchEnd:
    """The plateau to measure next, or how the search has ended.

    The light load gives the time from due to visible. A ramp doubles the rate until the server does not keep up or
    a threshold is not kept. Full plateaus then close the bracket; a hinge through all growths says where to
    try next.
    """
    bracket = bracket_of(done)
    state = _SoFar(limits, tuple(done), bracket)
    wanted = _wanted(state)
    if isinstance(wanted, SearchEnd):
        return wanted
    if len(done) >= limits.most_plateaus:
        return SearchEnd.PLATEAUS
    spent = sum(one.seconds for one in done)
    if spent + wanted.load_seconds + state.visible_p90 > limits.longest_seconds:
        return SearchEnd.DURATION
    return wanted


def _wanted(state: _SoFar) -> PlannedPlateau | SearchEnd:
    """The next plateau where neither time nor plateaus are limited."""
    limits, done, bracket = state.limits, state.done, state.bracket
    if not done:
        return state.step(Part.LIGHT, min(limits.first_rate, limits.highest_rate))
    if bracket.is_closed(limits):
        wanted = _unconfirmed(state) if limits.confirm else None
        return SearchEnd.FOUND if wanted is None else state.step(Part.PLATEAU, wanted)
    highest = max((one.rate for one in done if one.held), default=0.0)
    if highest and state.ceiling is None:
        # Nothing failed above what held: the ramp goes on.
        if highest < limits.highest_rate * _JUST_BELOW:
            return state.step(Part.RAMP, min(2.0 * highest, limits.highest_rate))
        if bracket.held is not None and bracket.held >= limits.highest_rate * _JUST_BELOW:
            return SearchEnd.AT_LEAST
        return state.step(Part.PLATEAU, limits.highest_rate)
    lowest = 1.0 if limits.closed else limits.first_rate / DESCENT
    if bracket.held is None and state.ceiling is not None and state.ceiling <= lowest:
        return SearchEnd.BELOW
    return state.step(Part.PLATEAU, _next_rate(state))


def _unconfirmed(state: _SoFar) -> float | None:
    """An end of the bracket that was measured only once."""
    for rate in (state.bracket.held, state.bracket.failed):
        times = sum(one.step.part is Part.PLATEAU and one.rate == rate for one in state.done)
        if rate is not None and times < 2:
            return rate
    return None


def _next_rate(state: _SoFar) -> float:
    """The rate of the next full plateau, where a rate is known that did not hold.

    Just below the estimated capacity where no plateau held near it, and just above it where one did, so that two
    plateaus close the bracket if the estimate is right.
    """
    limits, low = state.limits, state.bracket.held
    high = state.ceiling or limits.highest_rate
    rough = max((one.rate for one in state.done if one.held and one.rate < high), default=high / DESCENT)
    estimate = _estimate(state)
    aside = STEP_BELOW * limits.precision / (1.0 + limits.precision)
    if low is None:
        below = math.sqrt(rough * high) if estimate is None else estimate * (1.0 - aside)
        return min(max(below, high / DESCENT), high - 1.0 if limits.closed else high / limits.ratio**0.5)
    if estimate is None or estimate >= high:
        estimate = math.sqrt(low * high)
    wanted = estimate * (1.0 - aside)
    if wanted < low * limits.ratio**0.5:
        # What held is near the estimate: the upper end is wanted.
        wanted = min(max(estimate * (1.0 + aside), low * limits.ratio**0.5), low * limits.ratio)
    if limits.closed:
        # What failed in the ramp may be tried again.
        highest = high if state.bracket.failed is None else high - 1.0
        return min(max(float(round(wanted)), low + 1.0), highest)
    if state.bracket.failed is None and wanted * limits.ratio**0.5 > high:
        return high  # it failed in the ramp, which may have been by chance
    step = min(limits.ratio**0.25, (high / low) ** 0.5)
    return float(min(max(wanted, low * step), high / step))


def _estimate(state: _SoFar) -> float | None:
    """The capacity by the hinge through all growths; None where only thresholds were not kept."""
    failed = [one for one in state.done if not one.held and one.rate >= (state.ceiling or 0.0)]
    if not failed or min(failed, key=lambda one: one.rate).kept_up:
        return None
    held = state.bracket.held or 0.0
    points = [
        GrowthAt(
            one.rate,
            one.growth.per_second,
            one.growth.error if one.step.part is Part.PLATEAU else RAMP_GROWTH_BOUND,
        )
        for one in state.done
        # A short plateau that a full one contradicts says nothing.
        if one.growth is not None and (one.held or one.rate > held)
    ]
    hinge = fit_hinge(points)
    return hinge.capacity if hinge else None


def _carried(done: Sequence[Plateau], rate: float) -> float:
    """What the server completed at a rate that held: less than offered, where its backlog grew within the bound."""
    growths = [
        one.growth.per_second
        for one in done
        if one.rate == rate and one.step.part is Part.PLATEAU and one.growth is not None
    ]
    return rate * (1.0 - max(0.0, sum(growths) / len(growths))) if growths else rate


def answer(limits: SearchLimits, done: Sequence[Plateau]) -> CapacityEstimate:
    """The result of the plateaus so far."""
    bracket = bracket_of(done)
    widened = 1.0 if limits.closed else WIDENED
    carried = None if bracket.held is None else _carried(done, bracket.held)
    low = None if carried is None else carried / widened
    high = None if bracket.failed is None else bracket.failed * widened
    if high is None:
        # The ramp's plateaus are short, but what failed there is far beyond the limit.
        rough = [one.rate for one in done if not one.held and one.rate > (bracket.held or 0.0)]
        high = min(rough, default=None)
    if low is None:
        # Of what held in the ramp, some is left as a margin.
        low = max(
            (
                one.rate
                for one in done
                if one.held and one.step.part is Part.RAMP and one.rate < (high or math.inf)
            ),
            default=None,
        )
    rate = None
    if carried is not None and bracket.failed is not None and bracket.is_closed(limits):
        # The highest number of slots that held is exact; a rate lies between two plateaus.
        rate = bracket.held if limits.closed else math.sqrt(carried * bracket.failed)
    return CapacityEstimate(bracket, rate, low, high)
