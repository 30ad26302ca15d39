"""A duel: executions on two live targets in turn, so that what drifts meanwhile is the same for both."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kfp_perf.studies.study import PlannedExecution, worst_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kfp_perf.config import TestConfig
    from kfp_perf.errors import ExitCode
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
    """

    baseline: DuelTarget
    new: DuelTarget
    pairs: int
    seed: int = 0
    warmup: bool = True
    within: float = 0.05
    same_target: bool = False

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
        )

    def answer(self, done: Sequence[Executed]) -> Mapping[str, Any]:
        """Nothing: the comparison is made from the results."""
        return {}

    def exit_code(self, done: Sequence[Executed]) -> ExitCode:
        """The worst outcome of the executions."""
        return worst_of(done)

    def _order_of(self, pair: int) -> tuple[DuelTarget, DuelTarget]:
        stream = random.Random(self.seed)
        draws = [stream.random() < 0.5 for _ in range(pair + 1)]
        return (self.new, self.baseline) if draws[-1] else (self.baseline, self.new)
