"""What is to be said of scenarios with few runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_perf.reports.quantities import count_of

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Below this number of runs one failure is more than 5 %.
FEW_RUNS = 20


def few_runs(document: Mapping[str, Any]) -> list[str]:
    """A sentence for each scenario of which so few runs were due that one failure breaks the default threshold."""
    found = []
    for one in document.get("thresholds") or ():
        if not isinstance(one, dict) or not one.get("default") or one.get("metric") != "run.success_rate":
            continue
        due = one.get("count")
        if isinstance(due, int) and due < FEW_RUNS:
            of = f"{one['scenario']}: " if one.get("scenario") else ""
            found.append(
                f"{of}with {count_of(due, 'run')} due, a single one that does not succeed breaks the default "
                f"{one.get('metric')} {one.get('condition')}."
            )
    return found
