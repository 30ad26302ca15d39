"""What scenarios did beside runs of their own, and what is not counted, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_perf.reports.quantities import count_of, seconds_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def beside_runs(metrics: Mapping[str, Any]) -> Iterator[str]:
    """Yield a phrase for each kind of such work in the metrics dictionary of a scenario, however incomplete."""
    for key, phrase in _PHRASES.items():
        report = metrics.get(key)
        if isinstance(report, dict) and (text := phrase(report, metrics)):
            yield text


def _schedules(report: Mapping[str, int], metrics: Mapping[str, Any]) -> str:
    kinds = ("on_time", "late", "missed", "undecided")
    on_time, late, missed, undecided = (report.get(kind, 0) for kind in kinds)
    slots = count_of(on_time + late + missed + undecided, "slot")
    text = f"{slots} of {count_of(report.get('schedules', 0), 'schedule')}: "
    text += f"{on_time:,} on time, {late:,} late, {missed:,} missed"
    if undecided:
        text += f", {undecided:,} too near the end to tell"
    family = metrics.get("schedule")
    drift = family.get("drift_seconds") if isinstance(family, dict) else None
    if isinstance(drift, dict) and drift.get("n"):
        text += f"; runs came {seconds_of(drift.get('p50'))} after their slot in the median, "
        text += f"{seconds_of(drift.get('max'))} at most"
    return text


def _uploads(report: Mapping[str, int], _metrics: Mapping[str, Any]) -> str:
    size = report.get("size_bytes", 0) / 1000
    pipelines = count_of(report.get("pipelines", 0), "pipeline")
    text = f"uploaded {pipelines} and {count_of(report.get('versions', 0), 'version')} of {size:,.1f} KB each"
    failed = report.get("failed", 0)
    return f"{text}; {failed:,} failed" if failed else text


def _reads(report: Mapping[str, int], _metrics: Mapping[str, Any]) -> str:
    parts = [count_of(report.get("reads", 0), "read")]
    if later := report.get("later_pages", 0):
        parts.append(
            f"{later:,} of them later pages of lists (down to page {report.get('deepest_page', 0):,})"
        )
    if gone := report.get("gone", 0):
        parts.append(f"{gone:,} of what had been deleted meanwhile")
    if failed := report.get("failed", 0):
        parts.append(f"{failed:,} more failed")
    return ", ".join(parts)


def _prefill(report: Mapping[str, int], _metrics: Mapping[str, Any]) -> str:
    made = [
        count_of(report[f"{noun}s"], noun)
        for noun in ("experiment", "pipeline", "version", "run")
        if report.get(f"{noun}s")
    ]
    return f"made beforehand: {', '.join(made)}" if made else ""


def _runs(report: Mapping[str, int], _metrics: Mapping[str, Any]) -> str:
    warmup = report.get("warmup", 0)
    return f"{count_of(warmup, 'run')} of the warm-up not counted" if warmup else ""


_PHRASES = {
    "schedules": _schedules,
    "uploads": _uploads,
    "reads": _reads,
    "prefill": _prefill,
    "runs": _runs,
}
