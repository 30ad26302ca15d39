"""Reading `result.json` without trusting it: a document that was cut or edited still makes a report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_perf.hosts import titled
from kfp_perf.reports.quantities import clock_of

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What reports read, with what stands for it where it is missing.
_SHAPE: dict[str, Any] = {
    "name": "unnamed test",
    "started": "",
    "finished": "",
    "elapsed_seconds": 0.0,
    "verdict": {"text": "unknown", "exit_code": -1, "reasons": [], "emulator": False},
    "target": {"url": "", "emulator_profile": None, "version": None, "commit": None, "multi_user": False},
    "total": {"runs": {}, "api": {}},
    "scenarios": [],
    "warnings": [],
    "leftovers": [],
    "environment": {},
    "configuration": {},
    "scenario_file": {"path": "", "text": ""},
}
_SCENARIO_SHAPE: dict[str, Any] = {
    "name": "unnamed scenario",
    "mode": "",
    "started": None,
    "finished": None,
    "error": None,
    "exit_code": 0,
    "warnings": [],
    "leftovers": [],
    "metrics": {},
}


def complete(document: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the document with all that reports read, and the paths of what was missing or of another kind."""
    missing: list[str] = []
    whole = _filled(document, _SHAPE, "$", missing)
    whole["scenarios"] = [
        _filled(scenario, _SCENARIO_SHAPE, f"$.scenarios[{place}]", missing)
        for place, scenario in enumerate(whole["scenarios"])
    ]
    return whole, missing


def _filled(given: Any, shape: dict[str, Any], path: str, missing: list[str]) -> dict[str, Any]:
    if not isinstance(given, dict):
        missing.append(path)
        given = {}
    filled = dict(given)
    for key, default in shape.items():
        value = given.get(key, default)
        fits = default is None or isinstance(
            value, (int, float) if isinstance(default, float) else type(default)
        )
        if key not in given or not fits:
            missing.append(f"{path}.{key}")
            value = default
        filled[key] = (
            _filled(value, default, f"{path}.{key}", missing) if isinstance(default, dict) else value
        )
    return filled


def target_of(document: Mapping[str, Any]) -> str:
    """What was tested, for people: an address with its name in the targets file, or the emulator."""
    target, emulated = dig(document, "target"), dig(document, "verdict", "emulator")
    name, url = (str(dig(target, key) or "") for key in ("name", "url"))
    if emulated:
        return f"the emulator {titled(name, url)}" if name else "the emulator"
    return titled(name, url)


def dig(document: Any, *keys: str) -> Any:
    """The value at a path of keys; None where there is none."""
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def ended_early(document: Mapping[str, Any]) -> str:
    """That a test ended early without failing, and why; empty where it did not."""
    early = document.get("stopped_early")
    if (
        not isinstance(early, dict)
        or early.get("threshold")
        or not isinstance(early.get("elapsed_seconds"), int | float)
    ):
        return ""
    return f"Ended early, after {clock_of(early['elapsed_seconds'])} min: {early.get('reason')}."
