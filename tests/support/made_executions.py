"""Result folders of executions with given figures, as small as a comparison allows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_STATISTICS = ("p50", "p90", "p95", "p99", "max")


def times(mean: float, count: int = 100, *, above: int = 0) -> dict[str, Any]:
    """A distribution of `count` values of which `above` were not answered."""
    figures: dict[str, Any] = dict.fromkeys(_STATISTICS, mean) | {"n": count, "mean": mean}
    if above:
        figures |= {"p99": None, "max": None, "not_reached": ["p99", "max"]}
    if above > count / 20:
        figures |= {"p95": None, "not_reached": ["p95", "p99", "max"]}
    return figures


def total(
    mean: float, *, failed: int = 0, cached: int = 0, calls: dict[str, int] | None = None
) -> dict[str, Any]:
    """The figures of a test with 100 runs; `calls` counts operations of the load."""
    load = {
        name: {"count": count, "error_rate": 0.0, "latency_seconds": times(mean / 100.0, count)}
        for name, count in (calls or {"CreateRun": 100}).items()
    }
    runs: dict[str, Any] = {
        "due": 100,
        "succeeded": 100 - failed,
        "failed": failed,
        "unfinished": 0,
        "success_rate": (100 - failed) / 100,
        "throughput_per_second": 10.0 / mean,
        "visible_seconds": times(mean, above=failed),
        "duration_seconds": times(0.9 * mean, 100 - failed),
        "cached_duration_seconds": {"n": cached, "mean": 1.0} if cached else {},
    }
    phases = {name: {"n": 100, "mean": share * mean} for name, share in (("queue", 0.2), ("execute", 0.7))}
    return {"runs": runs, "phases": phases, "api": {"load": load}}


def write_execution(
    folder: Path,
    figures: dict[str, Any],
    *,
    minute: int = 0,
    primary: Sequence[tuple[str | None, str]] = (),
    given: dict[str, Any] | None = None,
    **document: Any,
) -> Path:
    """Write `result.json` and `given.json` of an execution that started at a minute of an hour."""
    folder.mkdir(parents=True)
    whole = {
        "schema_version": 2,
        "name": "nightly",
        "started": f"2026-01-01T00:{minute:02}:00.000Z",
        "finished": f"2026-01-01T00:{minute:02}:30.000Z",
        "complete": True,
        "verdict": {"text": "passed", "exit_code": 0, "reasons": [], "emulator": True},
        "target": {"version": "2.17.0", "commit": "abc", "emulator": True, "emulator_profile": "fast"},
        "total": figures,
        "scenarios": [{"name": "steady", "metrics": figures}],
        "environment": {"system": "Linux", "cpus": 2, "kfp_perf": "0.1.0"},
        "scenario_file": {"path": "nightly.json", "text": '[{"mode": "PIPELINE_RUN"}]'},
    }
    (folder / "result.json").write_text(json.dumps(whole | document))
    declared = [{"scenario": scenario, "metric": metric} for scenario, metric in primary]
    scenarios = [{"name": "steady", "pipeline": "a" * 64}]
    base = {"schema_version": 2, "primary": declared, "scenarios": scenarios}
    (folder / "given.json").write_text(json.dumps(base | (given or {})))
    return folder


def write_side(parent: Path, means: Sequence[float], *, first_minute: int = 0, **rest: Any) -> Path:
    """Write an execution for each mean; they start every two minutes."""
    failed = rest.pop("failed", 0)
    for place, mean in enumerate(means):
        figures = rest.get("figures") or total(mean, failed=failed)
        options = {name: value for name, value in rest.items() if name != "figures"}
        write_execution(parent / f"{place:02}", figures, minute=first_minute + 2 * place, **options)
    return parent


def write_study(
    folder: Path,
    means: Sequence[float],
    *,
    kind: str = "repetition",
    warmups: int = 0,
    labels: Sequence[str] = (),
    **rest: Any,
) -> Path:
    """Write a finished study with an execution for each mean; the first `warmups` do not count.

    With `labels` each mean is of the next label in turn, and the executions of one turn are a pair.
    """
    write_side(folder / "executions", means, **rest)
    executions = [
        {
            "number": place + 1,
            "folder": f"{place:02}",
            "label": labels[place % len(labels)] if labels else "",
            "pair": place // len(labels) if labels else None,
            "warmup": place < warmups,
            "started": f"2026-01-01T00:{2 * place:02}:00.000Z",
            "finished": f"2026-01-01T00:{2 * place:02}:30.000Z",
            "exit_code": 0,
            "verdict": "passed",
        }
        for place in range(len(means))
    ]
    record = {
        "schema_version": 2,
        "kind": kind,
        "name": "nightly",
        "started": "2026-01-01T00:00:00.000Z",
        "finished": "2026-01-01T01:00:00.000Z",
        "exit_code": 0,
        "executions": executions,
    }
    (folder / "study.json").write_text(json.dumps(record))
    return folder
