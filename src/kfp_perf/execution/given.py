"""The input of a test: what `given.json` holds, and the thresholds that are read back from it."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import msgspec

from kfp_perf._version import __version__
from kfp_perf.compare.baseline import with_warnings
from kfp_perf.errors import Position
from kfp_perf.metrics import METRICS
from kfp_perf.metrics.capacity import is_of_capacity
from kfp_perf.metrics.metric import declared_metrics
from kfp_perf.metrics.registry import Registry
from kfp_perf.result.files import safe_name
from kfp_perf.result.timestamps import utc_of
from kfp_perf.thresholds import Threshold, parse_threshold

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from kfp_perf.client.messages import Healthz
    from kfp_perf.compare import Side
    from kfp_perf.compare.baseline import Baseline
    from kfp_perf.config import TestConfig
    from kfp_perf.metrics.metric import Metric
    from kfp_perf.pipelines.package import PipelinePackage
    from kfp_perf.plan import Plan

_PACKAGES = ("httptools", "uvloop", "msgspec", "pydantic", "hdrhistogram", "numpy", "starlette", "uvicorn")
#: The prefix by which an emulator is recognised.
EMULATOR_COMMIT = "kfp-perf-emulator"


def planned_document(plan: Plan, *, in_pairs: bool = False) -> dict[str, Any]:
    """The part of a test's input that is known before the target was asked.

    `in_pairs`: thresholds that are relative to a baseline are `pair_thresholds`, which the study judges.
    """
    # A study judges those of the capacity, too.
    judged = [one for one in plan.thresholds if not is_of_capacity(one.metric.name)]
    relative = [one for one in judged if in_pairs and one.margin is not None]
    return {
        "name": plan.name,
        "duration_seconds": plan.duration_seconds,
        "thresholds": [_given_threshold(one) for one in judged if one not in relative],
        "pair_thresholds": [_given_threshold(one) for one in relative],
        "lifted": [list(one) for one in plan.lifted],
        "primary": [one._asdict() for one in plan.primary],
        "scenarios": [
            {
                "name": one.name,
                "mode": one.mode_name,
                "folder": safe_name(one.name or ""),
                "position": plan.positions.get(one.name or ""),
                "start_seconds": one.start_seconds,
                "run_seconds": one.run_seconds,
                "pipeline": _digest(plan.packages.get(one.name or "")),
            }
            for one in plan.scenarios
        ],
        "warnings": [str(warning) for warning in plan.warnings],
        "scenario_file": {"path": str(plan.path), "text": plan.text},
    }


def _given_threshold(one: Threshold) -> dict[str, Any]:
    return {
        "scenario": one.scenario,
        "metric": one.metric.name,
        "condition": one.condition,
        "where": one.where,
        "position": one.position,
        "abort_on_fail": one.abort_on_fail,
        "delay_seconds": one.delay_seconds,
    }


def given_document(
    plan: Plan,
    config: TestConfig,
    health: Healthz,
    emulator_profile: str,
    started: float,
    declared: Iterable[Metric] = (),
    baseline: tuple[Side, Baseline] | None = None,
    *,
    in_pairs: bool = False,
) -> dict[str, Any]:
    """The input of a test: plan, settings, target, the users' metrics and the baseline; `given.json`.

    `in_pairs` is that of `execute`.
    """
    given = {
        **planned_document(plan, in_pairs=in_pairs),
        "started": utc_of(started),
        "target": {
            "name": config.target_name or None,
            "url": config.KFP_url,
            "emulator": bool(emulator_profile) or (health.commit_sha or "").startswith(EMULATOR_COMMIT),
            "emulator_profile": emulator_profile or None,
            "version": health.tag_name,
            "commit": health.commit_sha,
            "multi_user": health.multi_user is True,
        },
        "declared_metrics": msgspec.to_builtins(list(declared)),
        "environment": _environment(),
        "configuration": config.model_dump(
            mode="json"
        ),  # secrets are masked with stars, as pydantic's secrets are
    }
    return given if baseline is None else with_baseline(given, *baseline)


def with_baseline(given: dict[str, Any], side: Side, baseline: Baseline) -> dict[str, Any]:
    """The input of a test, with the values that its thresholds are relative to."""
    return {**given, "baseline": msgspec.to_builtins(with_warnings(baseline, side, given))}


def given_thresholds(given: Mapping[str, Any], key: str = "thresholds") -> Iterator[Threshold]:
    """Parse the thresholds again, or those of another key, by the metrics that the test had."""
    registry = Registry(METRICS, declared_metrics(given.get("declared_metrics")))
    for one in given.get(key) or ():
        parsed = parse_threshold(
            one["metric"],
            one["condition"],
            one["where"],
            one["scenario"],
            registry,
            position=None if one.get("position") is None else Position(*one["position"]),
            abort_on_fail=bool(one.get("abort_on_fail")),
            delay_seconds=float(one.get("delay_seconds") or 0.0),
        )
        if isinstance(parsed, Threshold):
            yield parsed


def _environment() -> dict[str, Any]:
    return {
        "kfp_perf": __version__,
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "system": platform.platform(),
        "cpus": os.cpu_count(),
        "load_average": list(os.getloadavg()),
        "packages": {name: found for name in _PACKAGES if (found := _version_of(name))},
    }


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _digest(package: PipelinePackage | None) -> str | None:
    """The SHA-256 of the file, by which pipelines are distinguished."""
    return None if package is None else hashlib.sha256(package.data).hexdigest()
