"""The parts of docs/scenarios.md: fields, modes, calls, and what is built in."""

from __future__ import annotations

from reference.tables import code, fields_of, table


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
