"""What became of the runs: how many, how they ended, how long they took."""

from __future__ import annotations

from array import array
from collections import Counter
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from kfp_perf.metrics.histogram import QUANTILES
from kfp_perf.result.model import Outcome

if TYPE_CHECKING:
    from kfp_perf.result.model import RunRecord, Sample


class RunMetrics:
    """Runs by outcome, and the durations of those that succeeded (raw values: runs are few beside requests)."""

    def __init__(self) -> None:
        self._due = 0
        self._sent = 0
        self._ended = 0
        self._created = 0
        self._adopted = 0
        self._warmup = 0
        self._outcomes: Counter[str] = Counter()
        self._durations = array("d")
        self._visible = array("d")

    def on_sample(self, sample: Sample) -> None:
        """Requests are another family's."""

    def on_run(self, record: RunRecord) -> None:
        """Take in one run at its end."""
        if record.warmup:
            self._warmup += 1
            return
        self._due += 1
        self._sent += record.sent > 0
        self._created += record.created
        self._adopted += record.adopted
        self._outcomes[record.outcome.value] += 1
        if record.outcome in {Outcome.SUCCEEDED, Outcome.FAILED}:
            self._ended += 1
        if record.outcome is Outcome.SUCCEEDED:
            if record.duration_seconds is not None:
                self._durations.append(record.duration_seconds)
            if record.seen_finished is not None:
                self._visible.append(record.seen_finished - record.due)

    def merge(self, other: Self) -> None:
        """Take in what another scenario saw."""
        self._due += other._due
        self._sent += other._sent
        self._ended += other._ended
        self._created += other._created
        self._adopted += other._adopted
        self._warmup += other._warmup
        self._outcomes.update(other._outcomes)
        self._durations.extend(other._durations)
        self._visible.extend(other._visible)

    def result(self) -> dict[str, Any]:
        """Counts, the share that succeeded of those that ended, and durations in seconds.

        `duration_seconds` is from creation to finish by the server's times, `visible_seconds` from due until a
        client could see the end; both of runs that succeeded.
        """
        succeeded = self._outcomes[Outcome.SUCCEEDED.value]
        return {
            "due": self._due,
            "sent": self._sent,
            "ended": self._ended,
            "created": self._created,
            "adopted": self._adopted,
            "warmup": self._warmup,
            **{outcome.value: self._outcomes[outcome.value] for outcome in Outcome},
            "success_rate": succeeded / self._ended if self._ended else None,
            "duration_seconds": summary(self._durations),
            "visible_seconds": summary(self._visible),
        }


def summary(values: array[float]) -> dict[str, float]:
    """The usual quantiles, maximum and mean of raw values; empty where there are none.

    Quantiles are order statistics (numpy's `inverted_cdf`): values that were seen, never between two.
    """
    if not values:
        return {}
    data = np.frombuffer(values, dtype=np.float64)
    at = np.percentile(data, list(QUANTILES.values()), method="inverted_cdf")
    quantiles = dict(zip(QUANTILES, map(float, at), strict=True))
    return {**quantiles, "max": float(data.max()), "mean": float(data.mean())}
