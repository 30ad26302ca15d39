"""Measurements of runs compared with the emulator's true times: their errors, and the stated bounds."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from true_path import true_run

from kfp_perf.observe import PHASES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from true_path import TrueRun

    from kfp_emulator.cluster.nodes import Report
    from kfp_emulator.server.state import Backend
    from kfp_perf.result.records import RunRecord

MEASURES = ("duration", *PHASES)
# What times as floats leave of microseconds.
_ROUNDING = 2e-6


@dataclass
class Measure:
    """One measure over many runs: measured less true values, and the stated bounds; in seconds."""

    errors: list[float] = field(default_factory=list)
    bounds: list[float] = field(default_factory=list)

    @property
    def within(self) -> int:
        """How many errors are within their bounds."""
        pairs = zip(self.errors, self.bounds, strict=True)
        return sum(abs(error) <= bound + _ROUNDING for error, bound in pairs)

    @property
    def p99(self) -> float:
        """The 99th percentile of the absolute error."""
        ordered = sorted(map(abs, self.errors))
        return ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]

    @property
    def median_bound(self) -> float:
        return statistics.median(self.bounds)

    @property
    def ratio(self) -> float:
        """The usual bound, in 99th percentiles of the error."""
        return self.median_bound / self.p99


class Comparison:
    """Measures by name, and which runs had one beyond its bound."""

    def __init__(self) -> None:
        self.measures = {name: Measure() for name in MEASURES}
        self.runs = 0
        self.missing: set[str] = set()
        """What some run lacked."""
        self.outside: dict[str, list[str]] = {}

    def add(self, record: RunRecord, true: Mapping[str, float]) -> None:
        """Add a run; `true` has all of `MEASURES`, and what the record lacks of them is in `missing`."""
        self.runs += 1
        measured = {name: (value, record.phase_errors[name]) for name, value in record.phases.items()}
        if record.duration_seconds is not None and record.duration_error_seconds is not None:
            measured["duration"] = record.duration_seconds, record.duration_error_seconds
        self.missing |= true.keys() - measured.keys()
        for name, (value, bound) in measured.items():
            error = value - true[name]
            self.measures[name].errors.append(error)
            self.measures[name].bounds.append(bound)
            if abs(error) > bound + _ROUNDING:
                self.outside.setdefault(record.run_id, []).append(f"{name} {error:+.3f} of {bound:.3f}")

    @property
    def in_bound_share(self) -> float:
        """The share of runs with all that was measured of them within its bound."""
        return 1.0 - len(self.outside) / self.runs

    def table(self) -> str:
        """The figures as text, a line for each measure."""
        head = f"{'seconds':<11}{'runs':>6}{'within':>9}{'mean':>8}{'p99 error':>11}"
        head += f"{'bound p50':>11}{'max':>7}{'bound/p99':>11}"
        lines = [
            f"{name:<11}{len(each.errors):>6}{each.within / len(each.errors):>9.2%}"
            f"{statistics.mean(each.errors):>8.3f}{each.p99:>11.3f}"
            f"{each.median_bound:>11.3f}{max(each.bounds):>7.2f}{each.ratio:>11.2f}"
            for name, each in self.measures.items()
            if each.errors
        ]
        return "\n".join([head, *lines])


class Witness:
    """Records what the cluster of an emulator reports, with microseconds and ids."""

    def __init__(self, backend: Backend) -> None:
        self.last: dict[str, Report] = {}
        self._report = backend.cluster._on_report
        backend.cluster._on_report = self._see

    def _see(self, report: Report) -> None:
        self.last[report.run_id] = report
        self._report(report)


def truth_of(events: Iterable[Mapping[str, Any]], reports: Mapping[str, Report]) -> dict[str, TrueRun]:
    """The truth by run id, of runs that have ended: creation from the truth's events, and all else from reports."""
    created = {event["run_id"]: event["at_us"] for event in events if event["what"] == "created"}
    return {
        run_id: true_run(report, created[run_id])
        for run_id, report in reports.items()
        if report.finished_at is not None and run_id in created
    }


def true_measures(true: TrueRun, due: float) -> dict[str, float]:
    """All of `MEASURES`; `due` on a clock that shows the true time."""
    return {
        "duration": true.finished - true.created,
        "submit": true.created - due,
        **true.phases(),
    }
