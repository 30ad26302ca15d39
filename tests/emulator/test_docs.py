"""docs/emulator.md tells of every option, route, field, fault and event."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kfp_emulator.cluster.timing import PROFILE_FIELDS, list_profiles, parse_profile
from kfp_emulator.command import emulator
from kfp_emulator.http.routes import ROUTES
from kfp_emulator.kubernetes.component_table import COMPONENTS, Component
from kfp_emulator.protocol import messages
from kfp_emulator.server import faults

TEXT = (Path(__file__).parents[2] / "docs" / "emulator.md").read_text("utf-8")


@pytest.mark.parametrize("option", [parameter.opts[0] for parameter in emulator.params])
def test_every_option(option: Any) -> None:
    assert f"`{option}`" in TEXT


@pytest.mark.parametrize("path", sorted({route.path for route in ROUTES}))
def test_every_route(path: Any) -> None:
    assert path in TEXT


@pytest.mark.parametrize(
    "message",
    [
        messages.EXPERIMENT,
        messages.PIPELINE,
        messages.PIPELINE_VERSION,
        messages.RUN,
        messages.TASK_DETAIL,
        messages.RECURRING_RUN,
    ],
    ids=lambda message: message.name,
)
def test_every_field(message: Any) -> None:
    rows = " ".join(line for line in TEXT.splitlines() if line.startswith(f"| {message.name} |"))
    missing = [name for name in message.fields if not re.search(rf"`{name}\b", rows)]
    assert missing in ([], ["run_details"])


@pytest.mark.parametrize(
    "name", [field.name for field in msgspec.structs.fields(faults.Rule) if field.name != "effect"]
)
def test_every_field_of_a_rule(name: Any) -> None:
    assert f"`{name}`" in TEXT


@pytest.mark.parametrize(
    "effect",
    [
        faults.Latency,
        faults.Status,
        faults.Reset,
        faults.Stall,
        faults.Truncate,
        faults.Garbage,
        faults.Restart,
        faults.BrokenYaml,
        faults.CutWatch,
        faults.ExpireWatch,
        faults.FalseValues,
        faults.SlowReports,
        faults.StuckRuns,
        faults.FailedPods,
    ],
)
def test_every_effect(effect: Any) -> None:
    kind = effect.__struct_config__.tag
    row = next(line for line in TEXT.splitlines() if line.startswith(f"| `{kind}` |"))
    assert all(f"`{field.name}`" in row for field in msgspec.structs.fields(effect))


@pytest.mark.parametrize("name", PROFILE_FIELDS)
def test_every_field_of_a_profile(name: Any) -> None:
    kind, meaning = PROFILE_FIELDS[name]
    assert f"\n| `{name}` | {kind} | {meaning} |\n" in TEXT


def test_every_profile_and_every_shape_of_a_duration() -> None:
    section = TEXT.split("### Profiles")[1].split("###")[0]
    assert all(f"| `{name}` |" in section for name in list_profiles())
    assert all(
        f"`{shape}`" in section for shape in ("uniform", "exponential", "normal", "lognormal", "choice")
    )


def test_the_example_of_a_profile_is_one() -> None:
    example = TEXT.split("### Profiles")[1].split("```json")[1].split("```")[0]
    profile = parse_profile("ours", json.loads(example))
    assert profile.nodes == 4
    assert profile.executor_distribution("train-big") is not profile.executor_seconds
    assert profile.executor_distribution("other") is profile.executor_seconds


def test_the_example_of_a_plan_is_one() -> None:
    example = TEXT.split("## Faults")[1].split("```json")[1].split("```")[0]
    assert len(faults.read_rules(example)) == 5


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.name)
def test_the_formula_of_every_component(component: Component) -> None:
    rates = component.consumption
    times = (rates.request, rates.report, rates.pod, rates.look)
    cells = [
        f"`{component.name}`",
        f"{rates.idle:g}",
        *(f"{seconds * 1000:g} ms" if seconds else "" for seconds in times),
        f"{rates.memory >> 20} MiB",
        f"{rates.workflow_bytes >> 10} KiB" if rates.workflow_bytes else "",
    ]
    assert f"| {' | '.join(cells)} |" in TEXT
