"""Made evidence: expositions of endpoints in Prometheus' text format, and the files that the collector writes
of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from kfp_perf.evidence.profiles import PROCESS, PROFILES, STARTED, Kind, Wanted
from kfp_perf.evidence.scrape import SCRAPES_SUFFIX, Changes, ScrapeReader
from kfp_perf.result.evidence import EVIDENCE_FOLDER, EvidenceFiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

#: The series of a metric with labels.
LABELS = {
    "handling": (
        'grpc_method="CreateRun"',
        'grpc_method="ReportWorkflowV1"',
        'grpc_method="ReportScheduledWorkflowV1"',
    ),
    "handled": tuple(
        f'grpc_method="{method}",grpc_code="{code}"'
        for method in ("CreateRun", "ReportWorkflowV1", "ReportScheduledWorkflowV1")
        for code in ("OK", "Internal")
    ),
    "workflows": ('phase="Running"', 'phase="Succeeded"'),
    "pods": ('phase="Running"',),
    "busy_workers": ('worker_type="workflow_queue"',),
    **dict.fromkeys(("depth", "latency", "duration", "adds", "retries"), ('queue_name="workflow_queue"',)),
}


def exposition(profile: str, level: float, *, began: float = 1_789_999_000.0, **values: float) -> bytes:
    """All metrics of a profile: gauges stand at `level`, counters at its tenfold, unless `values` has their key."""
    lines = [f"# TYPE {STARTED} gauge", f"{STARTED} {began}"]
    for wanted in PROFILES.get(profile, PROCESS).wanted:
        series = LABELS[wanted.key] if wanted.labels else ("",)
        value = values.get(wanted.key, level * (1 if wanted.kind is Kind.GAUGE else 10))
        lines.append(f"# TYPE {wanted.metric} {wanted.kind}")
        for labels in series:
            lines += _samples(wanted, labels, value)
    return ("\n".join(lines) + "\n").encode()


def _samples(wanted: Wanted, labels: str, value: float) -> Iterable[str]:
    name = wanted.metric
    braced = f"{{{labels}}}" if labels else ""
    if wanted.kind is not Kind.HISTOGRAM:
        return [f"{name}{braced} {value}"]
    before = f"{labels}," if labels else ""
    # Half of the values in the first bucket, the others in the second.
    return [
        f'{name}_bucket{{{before}le="0.1"}} {value / 2}',
        f'{name}_bucket{{{before}le="0.3"}} {value}',
        f'{name}_bucket{{{before}le="+Inf"}} {value}',
        f"{name}_sum{braced} {value * 0.15}",
        f"{name}_count{braced} {value}",
    ]


def write_scrapes(folder: Path, name: str, answers: Mapping[float, bytes]) -> EvidenceFiles:
    """Write what the collector would have, had it got these answers at these times; `folder` is the result's."""
    evidence = folder / EVIDENCE_FOLDER
    evidence.mkdir(exist_ok=True)
    reader, changes = ScrapeReader(PROFILES.get(name, PROCESS)), Changes()
    with (evidence / f"{name}{SCRAPES_SUFFIX}").open("ab") as file:
        for at, text in answers.items():
            file.write(msgspec.json.encode(changes.of(reader.read(text, at))) + b"\n")
    return EvidenceFiles(evidence)
