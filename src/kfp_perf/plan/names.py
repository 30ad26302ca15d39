"""Names of tests and scenarios: given, or derived from the file and the mode."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from kfp_perf.result.files import safe_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kfp_perf.scenario.model import TestScenario


def unique_names(scenarios: Sequence[TestScenario]) -> list[str]:
    """Return a unique name for each scenario: its own, else its mode's with a number where there are several."""
    bases = [safe_name(scenario.mode_name.lower().replace("_", "-")) for scenario in scenarios]
    unnamed = Counter(base for base, scenario in zip(bases, scenarios, strict=True) if scenario.name is None)
    taken = {scenario.name for scenario in scenarios}
    names: list[str] = []
    for base, scenario in zip(bases, scenarios, strict=True):
        name = scenario.name
        number = 0
        while name is None:
            number += 1
            candidate = base if unnamed[base] == 1 and number == 1 else f"{base}-{number}"
            if candidate not in taken:
                name = candidate
        taken.add(name)
        names.append(name)
    return names
