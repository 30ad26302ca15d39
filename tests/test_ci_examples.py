"""The examples for CI systems: they are what those systems read, and their commands are real."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
import yaml

from kfp_perf.catalog import PROJECT
from kfp_perf.cli import cli
from kfp_perf.reports import REPORTS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples" / "ci").glob("*.y*ml"))
FILES = [*EXAMPLES, *sorted(PROJECT.glob("*.yml"))]
COMMAND = re.compile(r"(?:^|;|\bthen\b|\|\|)\s*(kfp-perf\s[^|;\n]*)", re.MULTILINE)


def documents(path: Path) -> list[Any]:
    return list(yaml.safe_load_all(path.read_text()))


def texts(value: Any) -> Iterator[str]:
    """Every text in a document."""
    if isinstance(value, str):
        yield value
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts(one)


def commands(text: str) -> list[list[str]]:
    return [shlex.split(found[1]) for found in COMMAND.finditer(text)]


def problem_of(arguments: list[str]) -> str:
    """What is wrong with a command line, by the program's own parser; empty where it is right."""
    name, *rest = arguments[1:]
    context = click.Context(cli)
    command = cli.get_command(context, name)
    if command is None:
        return f"there is no command {name}"
    try:
        options, left, _ = command.make_parser(click.Context(command, parent=context)).parse_args(rest)
    except click.UsageError as error:
        return error.format_message()
    formats = [one.partition("=")[0] for one in options.get("report", ())]
    formats += [options["name"]] if "name" in options and name in {"report", "compare"} else []
    unknown = [one for one in formats if one not in REPORTS]
    return f"no report {unknown}" if unknown else f"too much: {left}" if left else ""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_commands_of_an_example_are_real(path: Path) -> None:
    found = [command for one in documents(path) for text in texts(one) for command in commands(text)]
    assert {command[1] for command in found} >= {"run", "validate"}
    assert {" ".join(command): problem for command in found if (problem := problem_of(command))} == {}


def test_the_page_about_ci_has_real_commands_and_names_each_example() -> None:
    page = (ROOT / "docs" / "ci.md").read_text()
    blocks = re.findall(r"```(?:sh|yaml)\n(.*?)```", page, re.DOTALL)
    found = [command for block in blocks for command in commands(block)]
    assert found
    assert {" ".join(command): problem for command in found if (problem := problem_of(command))} == {}
    for path in EXAMPLES:
        assert f"(../examples/ci/{path.name})" in page


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("kfp-perf run a.json --junit x.xml", "No such option"),
        ("kfp-perf tun a.json", "no command tun"),
        ("kfp-perf run a.json --report junitt=x.xml", "no report"),
        ("kfp-perf run a.json --repeat-all", "No such option"),
    ],
)
def test_the_check_finds_what_is_not_there(line: str, problem: str) -> None:
    (arguments,) = commands(f"if true; then {line}\n")
    assert problem in problem_of(arguments)


def test_github_takes_the_steps_in_this_form() -> None:
    (document,) = documents(ROOT / "examples/ci/github.yml")
    (job,) = document["jobs"].values()
    assert document[True].keys() >= {"pull_request", "push"}  # YAML 1.1 reads `on` as true
    for step in job["steps"]:
        assert ("run" in step) != ("uses" in step)
        assert step.keys() <= {"name", "run", "uses", "with", "if"}
    cached = [step["with"]["path"] for step in job["steps"] if "cache" in step.get("uses", "")]
    assert len(cached) == 2
    assert len(set(cached)) == 1, "a cache is only found by the paths it was saved with"


def test_gitlab_shows_the_tests_and_the_metrics() -> None:
    (document,) = documents(ROOT / "examples/ci/gitlab.yml")
    job = document["performance"]
    written = [option for text in texts(job["script"]) for one in commands(text) for option in one]
    reports = job["artifacts"]["reports"]
    assert f"openmetrics={reports['metrics']}" in written
    (junit,) = (option for option in written if option.startswith("junit="))
    assert re.fullmatch(reports["junit"].replace("*", ".*"), junit.removeprefix("junit="))
    assert job["artifacts"]["when"] == "always"


def test_tekton_names_what_is_declared() -> None:
    *tasks, pipeline = documents(ROOT / "examples/ci/tekton.yaml")
    by_name = {task["metadata"]["name"]: task["spec"] for task in tasks}
    assert [one["kind"] for one in (*tasks, pipeline)] == ["Task", "Task", "Pipeline"]
    for spec in (*by_name.values(), pipeline["spec"]):
        own = {one["name"] for one in spec["params"]}
        used = {name for text in texts(spec) for name in re.findall(r"\$\(params\.([\w-]+)\)", text)}
        assert used <= own
        for step in spec.get("steps", []):
            assert "$(params" not in step["script"], "a parameter in a script would be code"
    for task in pipeline["spec"]["tasks"]:
        spec = by_name[task["taskRef"]["name"]]
        assert {one["name"] for one in task["params"]} <= {one["name"] for one in spec["params"]}
        assert {one["name"] for one in task["workspaces"]} == {one["name"] for one in spec["workspaces"]}
