"""Write the reference pages that are generated from the code: `python docs/make.py`, or `--check` to compare only.

A page holds prose, and parts between `<!-- made: NAME -->` and `<!-- end -->` that this script writes.
To add a part: a function in `reference/` that returns Markdown, a line in PAGES, and the two markers in the page.
Pictures of a browser are made by `pictures.py`, since they need one.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from reference import examples, layers, metrics, scenarios, screen, settings

from kfp_perf.metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Callable

DOCS = Path(__file__).parent

#: Files that are generated completely.
FILES: dict[str, Callable[[], str]] = {
    "images/architecture.svg": layers.layers_picture,
    "images/terminal.svg": screen.terminal_picture,
}
PAGES: dict[str, dict[str, Callable[[], str]]] = {
    "scenarios.md": {
        "modes": scenarios.scenario_modes,
        "fields": scenarios.scenario_fields,
        "file": scenarios.file_fields,
        "stages": scenarios.stage_fields,
        "prefill": scenarios.prefill_fields,
        "calls": scenarios.read_calls,
        "earlier": scenarios.earlier_names,
        "scenarios": scenarios.built_in_scenarios,
        "pipelines": scenarios.built_in_pipelines,
    },
    "tuning.md": {"phases": settings.settings_by_phase, "states": settings.settings_by_state},
    "configuration.md": {"settings": settings.settings, "targets": settings.target_settings},
    "extending.md": {
        "runner": examples.example_of("HealthRunner", "RUNNERS"),
        "collector": examples.example_of("Gaps", "gaps_between", "METRICS"),
        "section": examples.example_of("gaps_section", "SECTIONS"),
        "report": examples.example_of("run_ids", "REPORTS"),
        "config": examples.example_of("ExtendedTestConfig"),
    },
    "comparing.md": {"margins": metrics.margins},
    "metrics.md": {
        "conditions": metrics.metric_conditions,
        "windows": metrics.metrics_with_windows,
        **{family: metrics.metrics_of(family) for family in METRICS},
        "operations": metrics.metric_calls,
        "beside": metrics.beside_metrics,
    },
}
"""Page, then part, then what writes it."""


def made(page: str, text: str) -> str:
    """Return a page's text with its made parts as they should be. Raises ValueError where a part has no markers."""
    for name, write in PAGES[page].items():
        found = list(re.finditer(rf"(<!-- made: {name} -->\n).*?(<!-- end -->)", text, re.DOTALL))
        if len(found) != 1:
            raise ValueError(f"{page} needs the markers of the part {name} exactly once")
        text = f"{text[: found[0].end(1)]}{write()}\n{text[found[0].start(2) :]}"
    return text


def main(arguments: list[str]) -> int:
    """Write the pages, or with --check print those that are outdated; return the exit code."""
    stale = []
    for page in PAGES:
        path = DOCS / page
        before = path.read_text(encoding="utf-8")
        after = made(page, before)
        if after != before:
            stale.append(page)
            if "--check" not in arguments:
                path.write_text(after, encoding="utf-8")
    for name, make in FILES.items():
        path, content = DOCS / name, make()
        if not path.exists() or path.read_text(encoding="utf-8") != content:
            stale.append(name)
            if "--check" not in arguments:
                path.write_text(content, encoding="utf-8")
    for page in stale:
        print(f"{page}: {'outdated, run python docs/make.py' if '--check' in arguments else 'written'}")  # noqa: T201  its output
    return int(bool(stale) and "--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
