"""The flags that change a scenario file without editing it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

_OPTIONS = (
    click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="PATH=VALUE",
        help="Set a field of the scenario file: 'scenarios[0].numTimes=20'. May be repeated.",
    ),
    click.option("--name", help="What results are called.  [the file's name]"),
)


def scenario_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags to a command, which gets them as `overrides` and `name`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function
