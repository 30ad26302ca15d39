"""Where the time of a run goes, by phase of its critical path."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any, ClassVar, Self

from kfp_perf.metrics.collector import MetricFamily
from kfp_perf.metrics.metric import Metric, Unit, distribution
from kfp_perf.metrics.summary import summary
from kfp_perf.observe.phases import PHASES
from kfp_perf.result.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kfp_perf.result.records import RunRecord

_SUBMIT = "submit"
_BRIEF = ("n", "mean", "error_seconds")


class _Phase:
    def __init__(self) -> None:
        self.values = array("d")
        self.errors_sum = 0.0
        self.worst_error = 0.0

    def add(self, seconds: float, error: float) -> None:
        self.values.append(seconds)
        self.errors_sum += error
        self.worst_error = max(self.worst_error, error)

    def merge(self, other: _Phase) -> None:
        self.values.extend(other.values)
        self.errors_sum += other.errors_sum
        self.worst_error = max(self.worst_error, other.worst_error)

    def result(self) -> dict[str, Any]:
        count = len(self.values)
        error = self.errors_sum / count
        figures = summary(self.values)
        if figures["p50"] < error:
            # Whole seconds cannot distinguish such runs; their errors average out over many.
            figures = {"n": count, "mean": figures["mean"]}
        return {**figures, "error_seconds": error, "worst_error_seconds": self.worst_error}


def _metrics() -> Iterator[Metric]:
    for name, phase in PHASES.items():
        yield distribution(
            f"phase.{name}",
            f"{phase.meaning[0].upper()}{phase.meaning[1:]}. Off by at most {phase.error}."
            + (" Of all runs that were created." if name == _SUBMIT else ""),
            phase.source,
            ("phases", name),
            absent="from whole seconds such a short phase has a mean, but no quantiles",
            error_path=("phases", name, "error_seconds"),
        )
        yield Metric(
            f"phase.{name}.error",
            Unit.SECONDS,
            f"The mean, over the runs, of the bounds of the error of `phase.{name}`.",
            phase.source,
            ("phases", name, "error_seconds"),
            (),
            ("phases", name, "n"),
        )


class PhaseMetrics(MetricFamily):
    """The phases of runs that succeeded and executed, and `submit` of all runs that were created.

    A phase that is not known of a run is absent there.
    """

    metrics: ClassVar[tuple[Metric, ...]] = tuple(_metrics())

    def __init__(self) -> None:
        self._phases: dict[str, _Phase] = {}
        self._submit_of_others = _Phase()

    def on_run(self, record: RunRecord) -> None:
        """Record one run at its end."""
        if record.warmup:
            return
        if record.cached or record.outcome is not Outcome.SUCCEEDED:
            if (submit := _submit_of(record)) is not None:
                self._submit_of_others.add(*submit)
            return
        for name, seconds in record.phases.items():
            self._phases.setdefault(name, _Phase()).add(seconds, record.phase_errors.get(name, 0.0))

    def merge(self, other: Self) -> None:
        """Add what another scenario recorded."""
        self._submit_of_others.merge(other._submit_of_others)
        for name, phase in other._phases.items():
            self._phases.setdefault(name, _Phase()).merge(phase)

    def result(self) -> dict[str, Any]:
        """`{phase: figures}` in order of time.

        `error_seconds` is the mean of the bounds of single runs' errors. A phase whose median is below that has a
        mean and no quantiles. `submit` is of all created runs; its `of_succeeded` is of the runs that the other
        phases are of.
        """
        found = {name: self._phases[name].result() for name in PHASES if name in self._phases}
        submit, of_succeeded = _Phase(), found.pop(_SUBMIT, None)
        submit.merge(self._submit_of_others)
        if of_succeeded:
            submit.merge(self._phases[_SUBMIT])
        if not submit.values:
            return found
        brief = {name: of_succeeded[name] for name in _BRIEF} if of_succeeded else {}
        return {_SUBMIT: {**submit.result(), **({"of_succeeded": brief} if brief else {})}, **found}


def _submit_of(record: RunRecord) -> tuple[float, float] | None:
    """The phase `submit` of a run and the bound of its error; None where our request did not create it.

    A run that has not ended was created while CreateRun was under way.
    """
    if _SUBMIT in record.phases:
        return record.phases[_SUBMIT], record.phase_errors.get(_SUBMIT, 0.0)
    if not record.created or record.adopted or not record.sent:
        return None
    return (record.sent + record.ended) / 2.0 - record.due, (record.ended - record.sent) / 2.0
