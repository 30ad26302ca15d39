"""A search for the capacity as the document of one result, for test cases and metrics.

Its plateaus are tests of which some fail on purpose, so they are no cases: the search is one, and each bound on the
capacity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_perf.errors import ExitCode, InputError
from kfp_perf.metrics.capacity import RATE
from kfp_perf.metrics.metric import Unit
from kfp_perf.reports.capacity_words import sentence
from kfp_perf.reports.study_executions import study_verdict
from kfp_perf.result.capacity import capacity_of

if TYPE_CHECKING:
    from kfp_perf.result.capacity import BoundRecord, CapacityRecord
    from kfp_perf.result.study import Study


def capacity_document(study: Study) -> dict[str, Any]:
    """The figures that a result would have, of which the only metric is the capacity, where it was found."""
    record = study.record
    code = ExitCode.INTERRUPTED if record.exit_code is None else record.exit_code
    verdict = {"text": study_verdict(study)[0].lower(), "exit_code": int(code), "emulator": False}
    document = {"name": record.name, "started": record.started}
    try:
        found = capacity_of(study)
    except InputError as error:
        return {**document, "verdict": {**verdict, "reasons": [record.ended or str(error)]}}
    answer = sentence(found)
    bounds_failed = any(not one.passed for one in found.bounds)
    scenario = {
        "name": found.scenario,
        "started": record.started,
        "finished": record.finished or None,
        "error": answer if code == ExitCode.FAILED and not bounds_failed else None,
        "exit_code": int(code),
        "metrics": {"capacity": {"rate": found.rate}},
    }
    return {
        **document,
        "verdict": {**verdict, "reasons": [record.ended or answer]},
        "scenarios": [scenario],
        "thresholds": [_judged(one, found) for one in found.bounds],
    }


def _judged(bound: BoundRecord, found: CapacityRecord) -> dict[str, Any]:
    reason = "" if bound.passed else f"is not {bound.condition}: {sentence(found)}"
    return {
        "scenario": found.scenario,
        "metric": bound.name,
        "condition": bound.condition,
        "unit": Unit.PER_SECOND if bound.name == RATE else Unit.COUNT,
        "value": bound.value,
        "interval": [found.low, found.high],
        "passed": bool(bound.passed),
        "judged": "cannot be told" if bound.passed is None else "kept" if bound.passed else "not kept",
        "reason": "cannot be judged: the interval is open" if bound.passed is None else reason,
    }
