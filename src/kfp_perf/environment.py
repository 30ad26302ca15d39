"""Environment variables that look like settings and are not: misspelt, or named as the field."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from kfp_perf.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ALIKE = 0.65
# What Kubernetes sets in pods beside a Service, here one named kfp-perf.
_SERVICE_LINK = re.compile(r"\w+_(?:SERVICE_(?:HOST|PORT(?:_\w+)?)|PORT(?:_\d+_(?:TCP|UDP)(?:_\w+)?)?)")


def misspelt(
    set_names: Iterable[str], variables: Mapping[str, str], prefix: str
) -> tuple[list[Problem], list[str]]:
    """Return a problem for each variable that is close to a setting, and the names that are close to none.

    `set_names` are the names that the environment holds; `variables` maps each field to the variable that it is
    read from; `prefix` begins the variables that can only be meant for kfp-perf. Case does not matter.
    """
    present = {name.lower() for name in set_names}
    known = {variable.lower(): variable for variable in variables.values()}
    unprefixed = {variable.lower().removeprefix(prefix.lower()): variable for variable in known.values()}
    other_names = {field.lower(): variable for field, variable in variables.items()}
    problems: list[Problem] = []
    unknown: list[str] = []
    for name in sorted(set_names):
        lowered = name.lower()
        if lowered in known:
            continue
        if lowered in other_names:
            # Other programs may use this name; it is an error only if the right variable is not set.
            nearest = other_names[lowered] if other_names[lowered].lower() not in present else ""
        elif lowered.startswith(prefix.lower()) and not _SERVICE_LINK.fullmatch(name):
            rest = lowered.removeprefix(prefix.lower())
            candidates = other_names | unprefixed
            near = difflib.get_close_matches(rest, candidates, n=1, cutoff=_ALIKE)
            nearest = candidates[near[0]] if near else ""
            unknown += [] if near else [name]
        else:
            continue
        if nearest:
            problems.append(Problem(name, "is not a setting", f"Write {nearest}, or unset it."))
    return problems, unknown
