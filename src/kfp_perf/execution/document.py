"""What `result.json` holds."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import msgspec

from kfp_perf._version import __version__
from kfp_perf.errors import ExitCode, gravest_first

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kfp_perf.client.messages import Healthz
    from kfp_perf.config import TestConfig
    from kfp_perf.execution.figures import Figures
    from kfp_perf.health import HealthChecks
    from kfp_perf.plan import Plan
    from kfp_perf.result.records import ScenarioResult

_PACKAGES = ("httptools", "uvloop", "msgspec", "pydantic", "hdrhistogram", "numpy", "starlette", "uvicorn")
_VERDICTS = {
    ExitCode.GOOD: "passed",
    ExitCode.FAILED: "failed",
    # A scenario found its input to be wrong, or the result could not be saved.
    ExitCode.BAD_INPUT: "failed",
    ExitCode.TARGET: "the target failed",
    ExitCode.INTERRUPTED: "stopped before its end",
    ExitCode.INVALID: "invalid: generator saturated",
}


@dataclass(frozen=True, slots=True)
class Given:
    """What a test was given: plan and settings, the target's answer, and the emulator's profile (empty: none)."""

    plan: Plan
    config: TestConfig
    health: Healthz
    emulator_profile: str = ""


def build_document(
    given: Given,
    results: Sequence[ScenarioResult],
    figures: Figures,
    errors: Sequence[Exception],
    checks: HealthChecks,
    *,
    started: float,
    finished: float,
) -> dict[str, Any]:
    """The document of a test's result: plain values. Times are UTC in text, durations seconds."""
    plan = given.plan
    code = ExitCode.of(errors)
    return {
        "name": plan.name,
        "started": _utc(started),
        "finished": _utc(finished),
        "elapsed_seconds": finished - started,
        "verdict": {
            "text": _VERDICTS[code],
            "exit_code": int(code),
            "reasons": list(_reasons(results, errors)),
            "emulator": bool(given.emulator_profile),
        },
        "target": {
            "url": given.config.KFP_url,
            "emulator_profile": given.emulator_profile or None,
            "version": given.health.tag_name,
            "commit": given.health.commit_sha,
            "multi_user": given.health.multi_user is True,
        },
        "thresholds": [judgement.document() for judgement in figures.judgements],
        "total": figures.metrics[None],
        "scenarios": [_scenario(one, figures.metrics.get(one.name, {})) for one in results],
        "generator": checks.generator.document(),
        "health": checks.document(),
        "warnings": [str(warning) for warning in plan.warnings],
        "leftovers": [line for one in results for line in one.leftovers],
        "environment": _environment(),
        "configuration": _configuration(given.config),
        "scenario_file": {"path": str(plan.path), "text": plan.text},
    }


def _reasons(results: Sequence[ScenarioResult], errors: Sequence[Exception]) -> Iterator[str]:
    """Yield why a test did not end well, what is gravest first, after the names of the scenarios that it ended."""
    ended: dict[str, list[str]] = {}
    for result in results:
        if result.failure is not None:
            ended.setdefault(str(result.failure), []).append(result.name)
    for reason in dict.fromkeys(map(str, gravest_first(errors))):
        names = ended.get(reason, [])
        yield f"{', '.join(names)}: {reason}" if names else reason


def _scenario(result: ScenarioResult, families: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins({**result.metrics, **families}, enc_hook=str)
    return {
        "name": result.name,
        "mode": result.mode,
        "started": _utc(result.started) if result.started else None,
        "finished": _utc(result.finished) if result.finished else None,
        "error": result.error or None,
        "exit_code": result.exit_code,
        "warnings": result.warnings,
        "leftovers": result.leftovers,
        "metrics": plain,
    }


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


def _configuration(config: Any) -> dict[str, Any]:
    """All settings; secrets show as stars, because pydantic's secrets do."""
    dumped: dict[str, Any] = config.model_dump(mode="json")
    return dumped


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
