"""The runs: how many there were, how they ended, and how long they took."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar, Self

from kfp_perf.metrics.collector import MetricFamily
from kfp_perf.metrics.messages import Messages
from kfp_perf.metrics.metric import Metric, Unit, distribution
from kfp_perf.metrics.summary import (
    censored_values,
    excluded_values,
    ranked_values,
    summary,
    trend_summary,
)
from kfp_perf.result.records import Outcome
from kfp_perf.statistics.survival import Unfinished, treatment

if TYPE_CHECKING:
    from kfp_perf.result.records import RunRecord

_COUNTS = (
    ("due", "Runs that the load asked for.", "the load's schedule"),
    ("sent", "Runs whose creation was sent.", "CreateRun"),
    (
        "created",
        "Runs that the server is known to have created.",
        "CreateRun's answers, and look-ups by name",
    ),
    (
        "adopted",
        "Created runs whose creation got no answer, and that a look-up by name found.",
        "look-ups by name",
    ),
    ("ended", "Runs that succeeded or failed.", "ListRuns and GetRun"),
    ("succeeded", "Runs that ended in SUCCEEDED.", "ListRuns and GetRun"),
    ("failed", "Runs that ended in any other final state.", "ListRuns and GetRun"),
    (
        "refused",
        "Runs that the server refused to create, or whose creation could not be sent.",
        "CreateRun's answers",
    ),
    (
        "lost",
        "Runs whose creation got no answer and that no list showed, or that vanished.",
        "CreateRun, ListRuns and GetRun",
    ),
    ("unfinished", "Runs still in flight after the whole grace period.", "ListRuns and GetRun"),
    (
        "never_started",
        "Runs that were due, but held back by `maxInFlight` until the end.",
        "the load's schedule",
    ),
    ("cut_off", "Runs in flight when the test was cut short: they count in no rate.", "ListRuns and GetRun"),
    ("warmup", "Runs due in the warm-up; they are in no other figure.", "the load's schedule"),
)

_ERROR = ("runs", "duration_error_seconds")


class RunMetrics(MetricFamily):
    """Runs by outcome, and the times of those that ended: raw values, since runs are few beside requests."""

    metrics: ClassVar[tuple[Metric, ...]] = (
        *(
            Metric(f"run.{name}", Unit.COUNT, meaning, source, ("runs", name))
            for name, meaning, source in _COUNTS
        ),
        Metric(
            "run.success_rate",
            Unit.SHARE,
            "The share of runs due that succeeded: refused, lost, unfinished and never-started runs did not.",
            "the load's schedule, ListRuns and GetRun",
            ("runs", "success_rate"),
            (),
            ("runs", "due"),
        ),
        Metric(
            "run.throughput",
            Unit.PER_SECOND,
            "Runs that succeeded a second, from when the first was due to the last end that was seen.",
            "ListRuns and GetRun",
            ("runs", "throughput_per_second"),
            (),
            ("runs", "succeeded"),
        ),
        distribution(
            "run.visible",
            "From when a run was due until a client could see that it had succeeded: what a user waits, with the "
            "server's reporting and one poll interval. Runs that did not succeed rank above all that did.",
            "the client's own clock",
            ("runs", "visible_seconds"),
        ),
        distribution(
            "run.duration",
            "From creation to finish by the server's own clock, of runs that succeeded and executed. Unfinished "
            "runs rank above all that ended; see `unfinished_runs` for the cases in which they do not.",
            "created_at and finished_at: the server's whole seconds, each duration with its error",
            ("runs", "duration_seconds"),
            absent="no run has a duration, or those that ended are no sample of all, as the load fell behind",
            error_path=_ERROR,
        ),
        Metric(
            "run.duration.error",
            Unit.SECONDS,
            "No duration of a run that ended is further off than this.",
            "the server's whole seconds, and how well its clock is known",
            _ERROR,
            (),
            ("runs", "ended"),
        ),
        Metric(
            "run.duration.drift",
            Unit.CHANGE,
            "By what share of its median the duration of runs changed from the first to the last (Theil-Sen).",
            "run.duration, by when the runs were due",
            ("runs", "duration_trend", "change_share"),
            (),
            ("runs", "duration_trend", "points"),
        ),
        distribution(
            "run.failed.duration",
            "From creation to finish, of runs that failed.",
            "created_at and finished_at",
            ("runs", "failed_duration_seconds"),
            error_path=_ERROR,
        ),
        distribution(
            "run.cached.duration",
            "From creation to finish, of runs that succeeded with all results from the cache.",
            "created_at and finished_at",
            ("runs", "cached_duration_seconds"),
            error_path=_ERROR,
        ),
    )

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._messages = Messages()
        self._durations = array("d")
        self._dues = array("d")
        self._failed = array("d")
        self._cached = array("d")
        self._visible = array("d")
        self._cut_off = array("d")
        self._fell_behind: bool = False
        self._treatment = Unfinished.NONE
        self._worst_error = 0.0
        self._first_due = math.inf
        self._last_end = -math.inf
        self._merged = 0

    def on_run(self, record: RunRecord) -> None:
        """Record one run at its end."""
        if record.warmup:
            self._counts["warmup"] += 1
            return
        self._counts["due"] += record.outcome is not Outcome.CUT_OFF
        self._counts["sent"] += record.sent > 0
        self._counts["created"] += record.created
        self._counts["adopted"] += record.adopted
        self._counts[record.outcome.value] += 1
        if record.outcome is Outcome.CUT_OFF and record.created:
            self._cut_off.append(record.seen_for_seconds)
        if record.error:
            self._messages.add(record.outcome.value, record.error)
        self._first_due = min(self._first_due, record.due)
        if record.outcome in {Outcome.SUCCEEDED, Outcome.FAILED}:
            self._counts["ended"] += 1
            self._add_ended(record)

    def _add_ended(self, record: RunRecord) -> None:
        succeeded = record.outcome is Outcome.SUCCEEDED
        if succeeded and record.seen_finished is not None:
            self._last_end = max(self._last_end, record.seen_finished)
            self._visible.append(record.seen_finished - record.due)
        if record.duration_seconds is None:
            return
        self._worst_error = max(self._worst_error, record.duration_error_seconds or 0.0)
        if not succeeded:
            self._failed.append(record.duration_seconds)
        elif record.cached:
            self._cached.append(record.duration_seconds)
        else:
            self._durations.append(record.duration_seconds)
            self._dues.append(record.due)

    def on_backlog(self, *, fell_behind: bool) -> None:
        """Record whether the load fell behind, or may have: it decides how runs without an end are treated."""
        self._fell_behind = fell_behind

    def merge(self, other: Self) -> None:
        """Add what another scenario recorded. Of two treatments of unfinished runs the stricter one holds."""
        self._treatment = max(self._treatment, self._of_unfinished(), other._of_unfinished(), key=_strictness)
        self._counts.update(other._counts)
        self._messages.merge(other._messages)
        for name in ("_durations", "_dues", "_failed", "_cached", "_visible", "_cut_off"):
            getattr(self, name).extend(getattr(other, name))
        self._worst_error = max(self._worst_error, other._worst_error)
        self._first_due = min(self._first_due, other._first_due)
        self._last_end = max(self._last_end, other._last_end)
        self._merged += bool(other._durations)

    def result(self) -> dict[str, Any]:
        """Counts, shares, and times in seconds.

        `visible_seconds` is of all runs due, `duration_seconds` of runs that succeeded and executed, where
        `unfinished_runs` is the name of an `Unfinished` and is how those without an end are treated.
        `failed_duration_seconds` and `cached_duration_seconds` are of the others that ended.
        `duration_error_seconds`: no duration is further off.
        """
        due, succeeded = self._counts["due"], self._counts["succeeded"]
        lasted = self._last_end - self._first_due
        return {
            **{name: self._counts[name] for name, _, _ in _COUNTS},
            "errors_by_message": self._messages.result(),
            "success_rate": succeeded / due if due else None,
            "throughput_per_second": succeeded / lasted if succeeded > 1 and lasted > 0.0 else None,
            "visible_seconds": ranked_values(self._visible, max(0, due - len(self._visible))),
            "duration_seconds": self._duration(),
            "unfinished_runs": self._strictest().name.lower(),
            "duration_error_seconds": self._worst_error,
            "duration_trend": self._trend(),
            "failed_duration_seconds": summary(self._failed),
            "cached_duration_seconds": summary(self._cached),
        }

    def _of_unfinished(self) -> Unfinished:
        """How the runs without an end are treated, of those recorded here and not merged.

        Runs that were cut off were in flight when the user ended the test; the others were followed for the whole
        grace period.
        """
        unfinished, cut_off = self._counts["unfinished"], len(self._cut_off)
        return treatment(unfinished + cut_off, cut_short=not unfinished, fell_behind=self._fell_behind)

    def _strictest(self) -> Unfinished:
        return max(self._treatment, self._of_unfinished(), key=_strictness)

    def _duration(self) -> dict[str, Any]:
        match self._strictest():
            case Unfinished.EXCLUDED:
                return excluded_values(self._durations)
            case Unfinished.CENSORED:
                return censored_values(self._durations, self._cut_off)
            case _:
                return ranked_values(self._durations, self._counts["unfinished"])

    def _trend(self) -> dict[str, Any] | None:
        """The drift of durations during the test; none where scenarios with different runs are mixed.

        None either where only a part of the runs ended and that part is no sample of all.
        """
        if self._merged > 1 or self._strictest() is Unfinished.EXCLUDED:
            return None
        return trend_summary(self._dues, self._durations)


def _strictness(how: Unfinished) -> int:
    return (Unfinished.NONE, Unfinished.CENSORED, Unfinished.RANK_LAST, Unfinished.EXCLUDED).index(how)
