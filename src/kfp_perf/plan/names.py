"""Names of tests and scenarios: given, or derived from the file and the mode."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from kfp_perf.result.files import folder_key, safe_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kfp_perf.scenario.model import TestScenario

#: The longest part of a mode's name before a number: with it, it is within what `safe_name` keeps.
_BEFORE_NUMBER = 40


def unique_names(scenarios: Sequence[TestScenario]) -> list[str]:
    """Return a name for each scenario: its own, else its mode's with a number where there are several.

    No name that is made here shares its folder with another one.
    """
    bases = [safe_name(scenario.mode_name.lower().replace("_", "-")) for scenario in scenarios]
    unnamed = Counter(base for base, scenario in zip(bases, scenarios, strict=True) if scenario.name is None)
    taken = {folder_key(scenario.name) for scenario in scenarios if scenario.name is not None}
    names: list[str] = []
    for base, scenario in zip(bases, scenarios, strict=True):
        name = scenario.name
        number = 0
        while name is None:
            number += 1
            alone = unnamed[base] == 1 and number == 1
            candidate = base if alone else f"{base[:_BEFORE_NUMBER]}-{number}"
            if folder_key(candidate) not in taken:
                name = candidate
        taken.add(folder_key(name))
        names.append(name)
    return names
