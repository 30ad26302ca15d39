"""A search for the capacity as one execution of a comparison: its result is one rate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_perf.compare.compared_execution import ComparedExecution
from kfp_perf.metrics.capacity import RATE
from kfp_perf.result.capacity import KIND, capacity_of
from kfp_perf.result.study import Study, is_study

if TYPE_CHECKING:
    from pathlib import Path


def is_search(path: Path) -> bool:
    """Whether a folder holds a search for the capacity. Raises `InputError` for a study that cannot be read."""
    return path.is_dir() and is_study(path) and Study.open(path).record.kind == KIND


def search_of(path: Path) -> ComparedExecution:
    """The search in a folder; without metrics where it did not enclose the capacity.

    Target, environment and scenario file are those of its first plateau. Raises `InputError` for one that cannot be
    read.
    """
    study = Study.open(path)
    record = capacity_of(study)
    _, first = next(study.results())
    total: dict[str, Any] = {} if record.rate is None else {"capacity": {"rate": record.rate}}
    document: dict[str, Any] = {
        **{key: first.document.get(key) for key in ("target", "environment", "scenario_file")},
        "name": study.record.name,
        "started": study.record.started,
        "finished": study.record.finished,
        "complete": True,
        "verdict": {"text": record.status, "exit_code": study.record.exit_code, "reasons": []},
        "total": total,
        "scenarios": [],
    }
    return ComparedExecution(path, document, first.given | {"primary": [{"scenario": None, "metric": RATE}]})
