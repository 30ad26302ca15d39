"""Repetition: the same test several times, so that its results have a variation between executions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kfp_perf.compare import repeated_metrics
from kfp_perf.compare.compared_execution import ComparedExecution
from kfp_perf.compare.sides import Side, why_partial
from kfp_perf.errors import InputError
from kfp_perf.statistics.variation import FEWEST_UNTIL_STABLE, is_stable
from kfp_perf.studies.study import PlannedExecution, worst_of
from kfp_perf.studies.together import judge_together

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kfp_perf.compare import RepeatedMetric
    from kfp_perf.errors import ExitCode
    from kfp_perf.judgement import Judgement
    from kfp_perf.metrics.registry import Registry
    from kfp_perf.studies.study import Executed

MOST_UNTIL_STABLE = 20
"""Executions with `until_stable` at most, unless another number is given."""


@dataclass(frozen=True, slots=True)
class Repetition:
    """A design with `executions` that count, after a warm-up that does not.

    With `until_stable` (a share) it ends as soon as the 95 % intervals of all primary metrics reach no further than
    that from their means, but not before the fifth execution; `executions` is then the most. The rule is on the
    width, never on a difference. `first_seed` is the seed of the emulator in the first execution, and each later
    one gets the next: with one seed, executions would be alike. `registry` has the primary metrics that may be
    named. Thresholds that are relative to a baseline are judged by all executions together; `accept_undecided` is
    that of `judge`.
    """

    executions: int
    warmup: bool = True
    until_stable: float | None = None
    first_seed: int | None = None
    registry: Registry | None = None
    accept_undecided: bool = False

    @property
    def kind(self) -> str:
        """The kind of study."""
        return "repetition"

    @property
    def settings(self) -> Mapping[str, Any]:
        """The number of executions, and when to end earlier."""
        return {
            "executions": self.executions,
            "until_stable": self.until_stable,
            "first_seed": self.first_seed,
        }

    @property
    def planned(self) -> int | None:
        """How many executions there are; None with `until_stable`."""
        return None if self.until_stable is not None else self.executions + self.warmup

    def next(self, done: Sequence[Executed]) -> PlannedExecution | None:
        """The next execution, if more are needed."""
        counted = sum(not one.planned.warmup for one in done)
        if counted >= self.executions or self._is_stable(done):
            return None
        seed = None if self.first_seed is None else self.first_seed + len(done)
        if self.warmup and not done:
            return PlannedExecution(
                "Warm-up, which does not count", emulator_seed=seed, warmup=True, judged_together=True
            )
        most = f"at most {self.executions}" if self.until_stable is not None else f"{self.executions}"
        title = f"Execution {counted + 1} of {most}"
        return PlannedExecution(title, emulator_seed=seed, judged_together=True)

    def answer(self, done: Sequence[Executed]) -> Mapping[str, Any]:
        """Whether the primary metrics are stable, where that was asked for, and the relative thresholds."""
        judged = [one.document() for one in self._judged(done)]
        return {
            **({} if self.until_stable is None else {"stable": self._is_stable(done)}),
            **({"thresholds": judged} if judged else {}),
        }

    def exit_code(self, done: Sequence[Executed]) -> ExitCode:
        """The worst outcome of the executions, and of what is judged by all of them."""
        return worst_of(done, self._judged(done))

    def _judged(self, done: Sequence[Executed]) -> list[Judgement]:
        return judge_together(_side_of(_whole(done)).executions, accept_undecided=self.accept_undecided)

    def _is_stable(self, done: Sequence[Executed]) -> bool:
        whole = _whole(done)
        if self.until_stable is None or len(whole) < FEWEST_UNTIL_STABLE:
            return False
        variations = [one.variation for one in primary_of(whole, self.registry)]
        known = [one for one in variations if one is not None]
        return len(known) == len(variations) and is_stable(known, self.until_stable)


def primary_of(executed: Sequence[Executed], registry: Registry | None = None) -> tuple[RepeatedMetric, ...]:
    """The primary metrics of executions that are over; empty where they have no values."""
    try:
        return tuple(one for one in repeated_metrics(_side_of(executed), registry) if one.primary)
    except InputError:
        return ()


def _whole(done: Sequence[Executed]) -> list[Executed]:
    """The executions that count, without those that ended before their load did."""
    return [one for one in done if not one.planned.warmup and not why_partial(one.result)]


def _side_of(executed: Sequence[Executed]) -> Side:
    return Side(
        "",
        tuple(ComparedExecution(one.result.path, one.result.document, one.result.given) for one in executed),
    )
