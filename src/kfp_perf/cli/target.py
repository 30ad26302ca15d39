"""The flags for the target and the log, which every command that connects to a target has."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_perf.config import TestConfig

_OPTIONS = (
    click.option(
        "--target", metavar="NAME|URL", help="A target of the targets file, or a URL.  [KFP_PERF_TARGETS]"
    ),
    click.option("--host", help="Host or URL of the KFP API server.  [API_HOST]"),
    click.option("--port", help="Its port.  [API_PORT]"),
    click.option("--namespace", "-n", help="Namespace that runs belong to.  [NAMESPACE]"),
    click.option(
        "--kubeflow/--standalone", default=None, help="Multi-user Kubeflow or not.  [isKubeflowMode]"
    ),
    click.option("--log-level", help="DEBUG, REQUESTS, INFO, WARNING, ERROR.  [log_level]"),
    click.option(
        "--config-class", metavar="MODULE:CLASS", help="A subclass of TestConfig, with your settings."
    ),
)
_FIELDS = {
    "host": "KFP_API_HOST",
    "port": "KFP_API_PORT",
    "namespace": "NAMESPACE",
    "kubeflow": "IS_KUBEFLOW_MODE",
    "log_level": "LOG_LEVEL",
}

_ADDRESS = ("host", "port")


def target_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags to a command, which gets the resulting configuration as `config`."""

    @wraps(function)
    def with_config(**flags: Any) -> Any:
        given = {field: flags.pop(flag) for flag, field in _FIELDS.items()}
        config = read_config(flags.pop("config_class"), given, flags.pop("target"))
        return function(config=config, **flags)

    for option in reversed(_OPTIONS):
        with_config = option(with_config)
    return with_config


def settings_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags but those of the address to a command that names its targets itself.

    It gets `config`, whose address is a default, and `given`, the values of the flags by field.
    """

    @wraps(function)
    def with_config(**flags: Any) -> Any:
        given = {field: flags.pop(flag) for flag, field in _FIELDS.items() if flag not in _ADDRESS}
        config = read_config(
            flags.pop("config_class"), {**dict.fromkeys(_FIELDS.values()), **given, **_no_address()}
        )
        return function(config=config, given=given, **flags)

    for option in reversed(_OPTIONS[3:]):
        with_config = option(with_config)
    return with_config


def _no_address() -> dict[str, Any]:
    """The default address in place of that of the environment, which need not be valid."""
    from kfp_perf.config import TestConfig

    return {_FIELDS[flag]: TestConfig.model_fields[_FIELDS[flag]].default for flag in _ADDRESS}


def read_config(config_class: str | None, given: dict[str, Any], target: str | None = None) -> TestConfig:
    """Read the environment and the target's settings; flags take precedence.

    Raises `InputError`, which names the flag, the variable or the place in the targets file.
    """
    from kfp_perf.config import TestConfig, variable_name
    from kfp_perf.errors import InputError, Problem

    kind = TestConfig
    if config_class:
        from kfp_perf.engine.plugins import load_class

        kind = load_class(config_class, TestConfig, "--config-class")
    flags = {
        variable_name(kind, field): f"--{flag.replace('_', '-')}"
        for flag, field in _FIELDS.items()
        if given[field] is not None
    }
    try:
        if target is None:
            return kind.from_environment(**given)
        for flag in ("host", "port"):
            if given[_FIELDS[flag]] is not None:
                raise click.UsageError(
                    f"--target and --{flag} contradict each other: leave one of them out.",
                    click.get_current_context(),
                )
        from kfp_perf.targets import resolve_target

        # The target has an address of its own.
        return resolve_target(target, kind.from_environment(**{**given, **_no_address()}), given)
    except InputError as error:
        raise InputError(
            Problem(flags[problem.where], problem.what, "Correct the flag, or leave it out.")
            if problem.where in flags
            else problem
            for problem in error.problems
        ) from None
