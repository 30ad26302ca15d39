"""The flags of thresholds that are relative to a baseline."""

from __future__ import annotations

from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_perf.config import TestConfig

baseline_option = click.option(
    "--baseline",
    "-b",
    type=click.Path(path_type=Path, readable=False),
    multiple=True,
    help="Results that thresholds are relative to; may be given several times.  [KFP_PERF_BASELINE]",
)
undecided_option = click.option(
    "--undecided",
    type=click.Choice(["fail", "pass"]),
    help="Whether a threshold on a baseline fails or passes that the data cannot decide.  [KFP_PERF_UNDECIDED]",
)


def baseline_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add both flags to a command that has a `config`, which gets them.

    The command raises `InputError` for a folder that is given and cannot be compared with, whether or not the
    scenario file needs it.
    """

    @wraps(function)
    def with_baseline(
        *, config: TestConfig, baseline: tuple[Path, ...], undecided: str | None, **flags: Any
    ) -> Any:
        if baseline:
            from kfp_perf.compare import read_side

            read_side(baseline)
            config = config.model_copy(update={"baseline": baseline})
        return function(config=with_undecided(config, undecided), **flags)

    return baseline_option(undecided_option(with_baseline))


def with_undecided(config: TestConfig, undecided: str | None) -> TestConfig:
    """The configuration with the flag, where it is given."""
    return config.model_copy(update={"undecided": undecided}) if undecided else config
