"""Write the reference pages that are generated from the code: `python docs/make.py`, or `--check` to compare only.

A page holds prose, and parts between `<!-- made: NAME -->` and `<!-- end -->` that this script writes.
To add a part: a function that returns Markdown, a line in PAGES, and the two markers in the page.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_perf.metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pydantic import BaseModel

    from kfp_perf.reports.tuning import Setting

DOCS = Path(__file__).parent


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
    titles = list(head)
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def code(value: Any) -> str:
    """Return a value as JSON in a code span."""
    value = int(value) if isinstance(value, float) and value.is_integer() else value
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def fields_of(model: type[BaseModel]) -> str:
    """Return the fields of a model, with what each means, its unit, default and example."""
    rows = []
    for name, info in model.model_fields.items():
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        default = "required" if info.is_required() else code(info.get_default(call_default_factory=True))
        examples = info.examples or []
        rows.append(
            [
                f"`{info.alias or name}`",
                info.description or "",
                str(extra.get("unit", "")),
                "" if default == "`null`" and "unset" not in extra else str(extra.get("unset", default)),
                " or ".join(code(example) for example in examples),
            ]
        )
    return table(("field", "meaning", "unit", "default", "example"), rows)


def scenario_fields() -> str:
    """Return the fields of a scenario."""
    from kfp_perf.scenario.model import TestScenario

    return fields_of(TestScenario)


def scenario_modes() -> str:
    """Return what each mode does, and the fields that are its own."""
    from kfp_perf.scenario.model import TestScenario
    from kfp_perf.scenario.modes import MODES

    rows = []
    for mode, entry in MODES.items():
        own = (info.alias for name, info in TestScenario.model_fields.items() if name in entry.fields)
        rows.append([f"`{mode.name}`", entry.description, ", ".join(f"`{alias}`" for alias in own)])
    return table(("mode", "what it does", "fields that not every mode has"), rows)


def file_fields() -> str:
    """Return the fields of a scenario file in the object form."""
    from kfp_perf.scenario.model import ScenarioFile

    return fields_of(ScenarioFile)


def stage_fields() -> str:
    """Return the fields of a stage."""
    from kfp_perf.scenario.model import Stage

    return fields_of(Stage)


def prefill_fields() -> str:
    """Return the fields of prefill."""
    from kfp_perf.scenario.model import Prefill

    return fields_of(Prefill)


def read_calls() -> str:
    """Return the calls of RANDOM_GETS and their weights."""
    from kfp_perf.scenario.model import DEFAULT_MIX

    return table(
        ("call", "weight without `mix`"),
        ([f"`{call}`", f"{weight:g}"] for call, weight in DEFAULT_MIX.items()),
    )


def earlier_names() -> str:
    """Return earlier names, and what to write instead."""
    from kfp_perf.scenario.modes import EARLIER_MODES
    from kfp_perf.scenario.wording import EARLIER_FIELDS

    modes = ([f"mode `{old}`", remedy] for old, remedy in EARLIER_MODES.items())
    fields = ([f"field `{old}`", remedy] for old, remedy in EARLIER_FIELDS.items())
    return table(("earlier", "now"), [*modes, *fields])


def built_in_scenarios() -> str:
    """Return the built-in scenario files."""
    from kfp_perf.catalog import SCENARIOS
    from kfp_perf.scenario.serde import read_scenario_file

    rows = []
    for path in sorted(SCENARIOS.glob("*.json")):
        scenarios = read_scenario_file(path).scenarios
        parts = (
            f"{scenario.name} ({scenario.mode_name}, {scenario.run_seconds:g} s)" for scenario in scenarios
        )
        rows.append([f"`{path.name}`", "; ".join(parts)])
    return table(("file", "scenarios"), rows)


def built_in_pipelines() -> str:
    """Return the built-in pipelines."""
    from kfp_perf.catalog import PIPELINES
    from kfp_perf.pipelines.package import read_pipeline
    from kfp_perf.pipelines.shape import Dag, shape_of

    def tasks_in(dag: Dag) -> int:
        return sum(1 if task.inner is None else tasks_in(task.inner) for task in dag.tasks.values())

    rows = []
    for path in sorted(PIPELINES.glob("*.yaml")):
        package = read_pipeline(path)
        parameters = (f"`{name}` = {code(given.default)}" for name, given in package.parameters.items())
        description = str(package.spec["pipelineInfo"].get("description", ""))
        rows.append(
            [f"`{path.name}`", description, str(tasks_in(shape_of(package.spec))), ", ".join(parameters)]
        )
    return table(("file", "what it is", "tasks", "parameters"), rows)


def settings() -> str:
    """Return the settings: variable, meaning, default."""
    from kfp_perf.config import TestConfig, variable_name

    rows = []
    for name, info in TestConfig.model_fields.items():
        default = info.get_default()
        shown = "" if default is None or default == () else code(default)
        rows.append([f"`{variable_name(TestConfig, name)}`", f"`{name}`", info.description or "", shown])
    return table(("variable", "field of `TestConfig`", "meaning", "default"), rows)


def target_settings() -> str:
    """Return the settings of a table in the targets file, in two groups."""
    from kfp_perf.config import TestConfig
    from kfp_perf.targets import OF_ITS_USE, OF_THE_TARGET

    groups = {"not from the environment": OF_THE_TARGET, "else from the environment": OF_ITS_USE}
    rows = [
        [
            group if not place else "",
            f"`{name}`",
            "As `host`: an address with scheme, port and path"
            if name == "url"
            else TestConfig.model_fields[field].description or "",
        ]
        for group, names in groups.items()
        for place, (name, field) in enumerate(names.items())
    ]
    return table(("", "setting", "meaning"), rows)


def metrics_of(family: str) -> Callable[[], str]:
    """Return what writes the metrics of a family."""

    def write() -> str:
        rows = []
        for metric in METRICS[family].metrics:
            place = ".".join(metric.path).replace("{call}", "{purpose}.{operation}")
            statistics = ", ".join(f"`.{statistic}`" for statistic in metric.statistics)
            rows.append(
                [
                    f"`{metric.name}`",
                    statistics,
                    metric.unit.value,
                    metric.meaning,
                    metric.source,
                    f"`{place}`",
                ]
            )
        return table(("name", "followed by one of", "unit", "meaning", "source", "in `result.json`"), rows)

    return write


def metric_conditions() -> str:
    """Return how conditions are written, by unit."""
    from kfp_perf.metrics.metric import Unit
    from kfp_perf.thresholds import EXAMPLES

    return table(("unit", "conditions, for example"), ([unit.value, EXAMPLES[unit]] for unit in Unit))


def margins() -> str:
    """Return how conditions relative to a baseline are written, by unit."""
    from kfp_perf.metrics.metric import Unit
    from kfp_perf.thresholds import MARGIN_EXAMPLES

    return table(("unit", "conditions, for example"), ([unit.value, MARGIN_EXAMPLES[unit]] for unit in Unit))


def metrics_with_windows() -> str:
    """Return the metrics that have a figure in a window."""
    from kfp_perf.metrics.windowed import WINDOWED_NAMES

    return ", ".join(f"`{name}`" for name in WINDOWED_NAMES)


def metric_calls() -> str:
    """Return the values of `{call}`."""
    from kfp_perf.metrics.registry import CALLS

    load = (f"`{call}`" for call, (purpose, _) in sorted(CALLS.items()) if purpose == "load")
    return ", ".join(load)


def beside_metrics() -> str:
    """Return the keys of a metrics dictionary beside values."""
    from kfp_perf.metrics.metric import BESIDE

    return table(("key", "meaning"), ([f"`{key}`", meaning] for key, meaning in BESIDE.items()))


def example_of(*names: str) -> Callable[[], str]:
    """Return what writes classes, functions and assignments of examples/plugin.py as they are."""

    def write() -> str:
        source = (DOCS.parent / "examples" / "plugin.py").read_text(encoding="utf-8")
        nodes = {}
        for node in ast.parse(source).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                nodes[node.name] = node
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                nodes[node.targets[0].id] = node
        parts = [ast.get_source_segment(source, nodes[name]) or "" for name in names]
        return "```python\n" + "\n\n\n".join(parts) + "\n```"

    return write


_STEP, _LEFT, _WIDTH, _MOST_CHARACTERS = 34, 12, 1010, 96


def layers_picture() -> str:
    """Return an SVG of the layers of both packages, with what each holds, from the contract in pyproject.toml."""
    contracts = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    parts: list[str] = []
    top = 26
    for contract in contracts:
        if contract["type"] != "layers":
            continue
        (package,) = contract["containers"]
        parts.append(f'<text x="{_LEFT}" y="{top}" class="title">{package}: imports only downward</text>')
        top += 12
        for layer in contract["layers"]:
            names = [name.strip() for name in layer.split("|")]
            what = "; ".join(_summary(package, name) for name in names)
            parts += [
                f'<rect x="{_LEFT}" y="{top}" width="{_WIDTH - 2 * _LEFT}" height="{_STEP - 6}" rx="4"/>',
                f'<text x="{_LEFT + 10}" y="{top + 18}" class="name">{" | ".join(names)}</text>',
                f'<text x="{_LEFT + 318}" y="{top + 18}">{escape(_shortened(what))}</text>',
            ]
            top += _STEP
        top += 30
    style = (
        "text{font:13px system-ui,sans-serif;fill:#1f2933}.title{font-weight:600;font-size:15px}"
        ".name{font-weight:600}rect{fill:#f5f7fa;stroke:#9aa5b1}"
        "@media(prefers-color-scheme:dark){text{fill:#e4e7eb}rect{fill:#1f2933;stroke:#52606d}}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top - 20}" role="img" '
        f'aria-label="The layers of kfp_perf and kfp_emulator">\n<style>{style}</style>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _shortened(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 2].rstrip()} …"


def _summary(package: str, name: str) -> str:
    """Return the first sentence of the docstring of a layer's package or module."""
    path = DOCS.parent / "src" / package / name
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    first = (ast.get_docstring(ast.parse(file.read_text())) or "").split("\n\n")[0].replace("\n", " ")
    return first.split(": ", 1)[-1].split(". ")[0].rstrip(".")


#: Files that are generated completely.
FILES: dict[str, Callable[[], str]] = {"images/architecture.svg": layers_picture}


def settings_by_phase() -> str:
    """Return the settings that govern each phase."""
    from kfp_perf.reports.tuning import SETTINGS

    return _settings_of(SETTINGS, "phase")


def settings_by_state() -> str:
    """Return the settings that govern how runs leave a state."""
    from kfp_perf.reports.run_states import STATES
    from kfp_perf.reports.tuning import SETTINGS_OF_STATES

    return _settings_of(
        {STATES[state]: found for state, found in SETTINGS_OF_STATES.items()}, "runs that are"
    )


def _settings_of(found: Mapping[str, Iterable[Setting]], what: str) -> str:
    rows = [
        [
            name if not place else "",
            one.component,
            ", ".join(f"`{part}`" if " " not in part else part for part in one.name.split(", ")),
            one.default,
            f"{one.effect} [source]({one.source})",
        ]
        for name, settings in found.items()
        for place, one in enumerate(settings)
    ]
    return table((what, "component", "setting", "default", "what it does"), rows)


PAGES: dict[str, dict[str, Callable[[], str]]] = {
    "scenarios.md": {
        "modes": scenario_modes,
        "fields": scenario_fields,
        "file": file_fields,
        "stages": stage_fields,
        "prefill": prefill_fields,
        "calls": read_calls,
        "earlier": earlier_names,
        "scenarios": built_in_scenarios,
        "pipelines": built_in_pipelines,
    },
    "tuning.md": {"phases": settings_by_phase, "states": settings_by_state},
    "configuration.md": {"settings": settings, "targets": target_settings},
    "extending.md": {
        "runner": example_of("HealthRunner", "RUNNERS"),
        "collector": example_of("Gaps", "gaps_between", "METRICS"),
        "section": example_of("gaps_section", "SECTIONS"),
        "report": example_of("run_ids", "REPORTS"),
        "config": example_of("ExtendedTestConfig"),
    },
    "comparing.md": {"margins": margins},
    "metrics.md": {
        "conditions": metric_conditions,
        "windows": metrics_with_windows,
        **{family: metrics_of(family) for family in METRICS},
        "operations": metric_calls,
        "beside": beside_metrics,
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
