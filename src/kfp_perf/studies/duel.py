"""A duel: executions on two live targets in turn, so that what drifts meanwhile is the same for both."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kfp_perf.compare.compared_execution import ComparedExecution
from kfp_perf.compare.sides import why_partial
from kfp_perf.studies.study import PlannedExecution, worst_of
from kfp_perf.studies.together import judge_pairs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kfp_perf.config import TestConfig
    from kfp_perf.errors import ExitCode
    from kfp_perf.judgement import Judgement
    from kfp_perf.studies.study import Executed


@dataclass(frozen=True, slots=True)
class DuelTarget:
    """A target with its label; of an emulator that is started for each execution, `emulator` is the profile."""

    label: str
    config: TestConfig
    emulator: str = ""


@dataclass(frozen=True, slots=True)
class Duel:
    """`pairs` of executions that count, one on each target, after a pair that does not (`warmup`).

    Which target comes first is drawn for each pair, from `seed`: an order that is fixed, such as ABBA, lets a drift
    that repeats with it look like a difference (docs/comparing.md has the simulation). `within` is the change that
    counts as the same. `same_target`: both sides are one target, so the study shows the noise of the system.
    Thresholds that are relative to a baseline are judged by the pairs, of which the first target is the baseline;
    `accept_undecided` is that of `judge`.
    """

    baseline: DuelTarget
    new: DuelTarget
    pairs: int
    seed: int = 0
    warmup: bool = True
    within: float = 0.05
    same_target: bool = False
    accept_undecided: bool = False

    @property
    def kind(self) -> str:
        """The kind of study."""
        return "duel"

    @property
    def settings(self) -> Mapping[str, Any]:
        """The labels, the baseline's first, and what the comparison needs to know."""
        return {
            "labels": [self.baseline.label, self.new.label],
            "pairs": self.pairs,
            "seed": self.seed,
            "within": self.within,
            "same_target": self.same_target,
        }

    @property
    def planned(self) -> int | None:
        """The number of executions."""
        return 2 * (self.pairs + self.warmup)

    def next(self, done: Sequence[Executed]) -> PlannedExecution | None:
        """The next execution, if one is left."""
        place = len(done)
        if place >= 2 * (self.pairs + self.warmup):
            return None
        pair, second = divmod(place, 2)
        warmup = self.warmup and pair == 0
        targets = self._order_of(pair)
        target = targets[second]
        number = pair + 1 - self.warmup
        name = "Warm-up, which does not count" if warmup else f"Pair {number} of {self.pairs}"
        return PlannedExecution(
            f"{name}: {target.label}",
            label=target.label,
            config=target.config,
            emulator=target.emulator,
            # Each execution has a seed of its own: with one seed, both sides would be alike.
            emulator_seed=self.seed + place if target.emulator else None,
            warmup=warmup,
            pair=pair,
            judged_in_pairs=True,
        )

    def answer(self, done: Sequence[Executed]) -> Mapping[str, Any]:
        """The relative thresholds; the comparison is made from the results."""
        judged = [one.document() for one in self._judged(done)]
        return {"thresholds": judged} if judged else {}

    def exit_code(self, done: Sequence[Executed]) -> ExitCode:
        """The worst outcome of the executions, and of what is judged by pairs of them."""
        return worst_of(done, self._judged(done))

    def _judged(self, done: Sequence[Executed]) -> list[Judgement]:
        if not done:
            return []
        return judge_pairs(
            self._pairs(done),
            done[0].result.given,
            name=self.baseline.label,
            accept_undecided=self.accept_undecided,
        )

    def _pairs(self, done: Sequence[Executed]) -> list[tuple[ComparedExecution, ComparedExecution]]:
        """The executions of each whole pair that counts, the baseline's first."""
        pairs: dict[int | None, dict[str, ComparedExecution]] = {}
        for one in done:
            if not one.planned.warmup and not why_partial(one.result):
                compared = ComparedExecution(one.result.path, one.result.document, one.result.given)
                pairs.setdefault(one.planned.pair, {})[one.planned.label] = compared
        labels = (self.baseline.label, self.new.label)
        return [(sides[labels[0]], sides[labels[1]]) for sides in pairs.values() if len(sides) == len(labels)]

    def _order_of(self, pair: int) -> tuple[DuelTarget, DuelTarget]:
        stream = random.Random(self.seed)
        draws = [stream.random() < 0.5 for _ in range(pair + 1)]
        return (self.new, self.baseline) if draws[-1] else (self.baseline, self.new)
