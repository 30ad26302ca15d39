"""A result as flat tables: TABLES is the table of them. Times are seconds since the Unix epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from kfp_perf.reports.document import complete, dig
from kfp_perf.reports.evidence import evidence_values
from kfp_perf.reports.failures import failures_of
from kfp_perf.result.records import RunRecord
from kfp_perf.result.tasks import TaskRecord
from kfp_perf.statistics.histogram import top_of
from kfp_perf.statistics.quantiles import binned_quantile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kfp_perf.result.reader import TestResult
    from kfp_perf.result.series import HistogramLine

Row = dict[str, Any]


def runs(result: TestResult) -> Iterator[Row]:
    """A row a run, with the fields of `RunRecord`; phases each in a column of their own."""
    for record in result.runs():
        yield record.row()


def tasks(result: TestResult) -> Iterator[Row]:
    """A row for each task of a run that ended, with the fields of `TaskRecord`."""
    return map(msgspec.structs.asdict, result.tasks())


def operations(result: TestResult) -> Iterator[Row]:
    """A row for each scenario (empty: the whole test), purpose and operation."""
    for row, figures in _calls(result):
        yield {**row, **_flat(figures)}


def errors(result: TestResult) -> Iterator[Row]:
    """A row for each kind and message of failures, by scenario (empty: all), purpose and operation.

    Of runs the purpose is `runs`, the operation empty, and the kind their outcome.
    """
    of_runs = [
        ({"scenario": scenario, "purpose": "runs", "operation": ""}, metrics.get("runs") or {})
        for scenario, metrics in _families(result)
    ]
    for row, figures in [*of_runs, *_calls(result)]:
        for failure in failures_of(figures):
            yield {**row, "kind": failure.kind, "message": failure.message, "count": failure.times}


def _families(result: TestResult) -> list[tuple[str, dict[str, Any]]]:
    document, _ = complete(result.document)
    return [("", document["total"])] + [(one["name"], one["metrics"]) for one in document["scenarios"]]


def _calls(result: TestResult) -> Iterator[tuple[Row, dict[str, Any]]]:
    for scenario, metrics in _families(result):
        for purpose, calls in (metrics.get("api") or {}).items():
            if not isinstance(calls, dict):
                continue
            for name, figures in calls.items():
                yield {"scenario": scenario, "purpose": purpose, "operation": name}, figures


def series(result: TestResult) -> Iterator[Row]:
    """A row for each second, operation and measure of a scenario that has times."""
    for files in result.scenarios:
        scenario = files.info.name
        for line in files.series():
            yield {
                "second": line.second,
                "scenario": scenario,
                "purpose": line.purpose,
                "operation": f"{line.operation}.{line.variant}" if line.variant else line.operation,
                "measure": line.measure,
                "warmup": line.warmup,
                "count": int(line.counts.sum()),
                "p50_seconds": _quantile(line, 0.5),
                "p99_seconds": _quantile(line, 0.99),
                "max_seconds": line.longest,
            }


def thresholds(result: TestResult) -> Iterator[Row]:
    """A row a threshold (scenario empty: of the whole test); value, bound and margin in the metric's unit."""
    judged = result.document.get("thresholds")
    for one in judged if isinstance(judged, list) else []:
        if isinstance(one, dict):
            ends = one.get("between") or one.get("interval")
            row = {**one, "scenario": one.get("scenario") or "", **_ends("value", ends)}
            row.pop("interval", None)
            row.pop("between", None)
            yield row


def evidence(result: TestResult) -> Iterator[Row]:
    """A row for each value of the evidence, by the name that thresholds call it.

    `value_low` and `value_high` are between what it lies, where no more is known of it.
    """
    document, _ = complete(result.document)
    for one in evidence_values(document["total"]):
        ends = None if one.between is None else list(one.between)
        yield {"metric": one.name, "unit": one.unit.value, "value": one.value, **_ends("value", ends)}


#: Each table by its name.
TABLES: dict[str, Callable[[TestResult], Iterator[Row]]] = {
    "runs": runs,
    "tasks": tasks,
    "operations": operations,
    "errors": errors,
    "series": series,
    "thresholds": thresholds,
    "evidence": evidence,
}


_CALL = ("scenario", "purpose", "operation")

#: The columns that each table has even without a row; the rows may bring more.
COLUMNS: dict[str, tuple[str, ...]] = {
    "runs": tuple(RunRecord(scenario="", name="", due=0.0).row()),
    "tasks": TaskRecord.__struct_fields__,
    "operations": (*_CALL, "count", "errors"),
    "errors": (*_CALL, "kind", "message", "count"),
    "series": (
        *("second", *_CALL, "measure", "warmup", "count"),
        *("p50_seconds", "p99_seconds", "max_seconds"),
    ),
    "thresholds": (
        *("scenario", "metric", "condition", "unit", "bound", "value", "not_reached", "margin", "error"),
        *("count", "passed", "judged", "reason", "value_low", "value_high"),
    ),
    "evidence": ("metric", "unit", "value", "value_low", "value_high"),
}


def _flat(figures: dict[str, Any]) -> Row:
    row: Row = {}
    for key, value in figures.items():
        if key in {"errors_by_kind", "attempt_errors"}:
            row[key] = " ".join(f"{kind}:{count}" for kind, count in value.items())
        elif key == "errors_by_message":
            continue  # a table of its own
        elif key == "latency_trend":
            row["latency_change_share"] = dig(value, "change_share")
        elif isinstance(value, dict):
            # latency_seconds: {p50: …} becomes latency_p50_seconds, as times are named everywhere else.
            stem = key.removesuffix("_seconds")
            intervals = value.get("intervals") or {}
            row |= {
                f"{stem}_{name}" + ("" if name == "n" else "_seconds"): inner
                for name, inner in value.items()
                if name not in {"intervals", "not_reached"}
            }
            for name, ends in intervals.items():
                row |= {f"{column}_seconds": end for column, end in _ends(f"{stem}_{name}", ends).items()}
        else:
            row[key] = value
    return row


def _ends(name: str, interval: Any) -> Row:
    """The two ends of a confidence interval; empty where there is none."""
    low, high = interval if isinstance(interval, list) and len(interval) == 2 else (None, None)
    return {f"{name}_low": low, f"{name}_high": high}


def _quantile(second: HistogramLine, share: float) -> float | None:
    place = binned_quantile(second.counts, share)
    return None if place is None else top_of(int(second.bins[place]))
