"""What was left behind, and under which conditions the test was made."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kfp_perf.reports.document import dig
from kfp_perf.reports.left_behind import cleanup_command, stays
from kfp_perf.reports.quantities import count_of
from kfp_perf.reports.story.blocks import (
    Block,
    Cell,
    Facts,
    Items,
    Prose,
    Section,
    Tone,
    Verbatim,
)

if TYPE_CHECKING:
    from kfp_perf.reports.story.report_data import Material

_MOST_LEFTOVERS = 50


def cleanup(material: Material) -> Section:
    """What is left on the server."""
    leftovers = [str(line) for line in material.document["leftovers"]]
    again = f"`{cleanup_command(material.result)}`"
    if leftovers:
        shown = leftovers[:_MOST_LEFTOVERS]
        if len(leftovers) > len(shown):
            shown.append(f"and {len(leftovers) - len(shown):,} more, see result.json")
        lead = f"{count_of(len(leftovers), 'object')} could not be deleted. {again} tries again."
        return Section("cleanup", "What was left behind?", lead, [Items(shown, Tone.WARNING)])
    if stay := stays(material.result):
        lead = f"{stay}. {again} deletes what is there."
    elif dig(material.document, "verdict", "emulator"):
        lead = "Nothing: the emulator is gone, with all that was made on it."
    else:
        lead = "Nothing: all that the test made was deleted."
    return Section("cleanup", "What was left behind?", lead, [])


def conditions(material: Material) -> Section:
    """Environment, settings and scenario, as they were."""
    document = material.document
    environment = dict(document["environment"])
    packages = environment.pop("packages", None)
    blocks: list[Block] = []
    pairs: list[tuple[str, Cell]] = [
        (key.replace("_", " "), _plain(value)) for key, value in environment.items()
    ]
    if isinstance(packages, dict):
        pairs.append(("packages", ", ".join(f"{name} {version}" for name, version in packages.items())))
    if pairs:
        blocks.append(Facts(pairs))
    given = document["scenario_file"]
    if given["text"]:
        blocks.append(Verbatim(f"Scenario file as given: {given['path']}", str(given["text"])))
    if document["configuration"]:
        blocks.append(
            Verbatim(
                "Settings (secrets are never written down)", json.dumps(document["configuration"], indent=2)
            )
        )
    blocks.append(Prose("Everything in this report is in result.json, runs.jsonl and series.hlog beside it."))
    return Section("conditions", "Under which conditions?", "What is needed to repeat this test.", blocks)


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key.replace('_', ' ')} {_plain(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(_plain(inner) for inner in value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
