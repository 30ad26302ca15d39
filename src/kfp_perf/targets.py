"""Targets by name: the tables of a TOML file, each with the settings of one KFP installation."""

from __future__ import annotations

import difflib
import functools
import logging
import os
import re
import shlex
import stat
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from kfp_perf.config import PROXY_FIELDS, TestConfig, is_secret_type, variable_name
from kfp_perf.errors import InputError, Problem
from kfp_perf.secret_command import run_secret_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Config = TypeVar("Config", bound=TestConfig)

_log = logging.getLogger(__name__)

#: What a target is: a table that leaves one of these out has its default, whatever the environment says, so that
#: the credentials of one installation are never sent to another one. Setting, and the field of `TestConfig`.
OF_THE_TARGET = {
    "url": "KFP_API_HOST",
    "host": "KFP_API_HOST",  # the same; a URL has scheme, port and path
    "port": "KFP_API_PORT",
    "namespace": "NAMESPACE",
    "kubeflow": "IS_KUBEFLOW_MODE",
    "local": "LOCAL",
    "token": "KFP_TOKEN",
    "cookie": "KFP_COOKIE",
    "user": "KFP_USER",
    "user_header": "KFP_USER_HEADER",
    "ca_cert": "KFP_CA_CERT",
    "client_cert": "KFP_CLIENT_CERT",
    "client_key": "KFP_CLIENT_KEY",
    "ui_url": "KFP_UI_URL",
    "metrics_urls": "metrics_urls",
    "kubernetes_context": "kubernetes_context",
    "kubernetes_url": "kubernetes_url",
    "kubernetes_token": "kubernetes_token",
    "run_namespaces": "run_namespaces",
    "kfp_namespace": "kfp_namespace",
}
#: How a target is used: where a table leaves one out, that of the environment holds.
OF_ITS_USE = {
    "http_proxy": "HTTP_PROXY",
    "https_proxy": "HTTPS_PROXY",
    "no_proxy": "NO_PROXY",
    "kubeconfig": "KUBECONFIG",
    "evidence": "evidence",
    "connect_timeout_seconds": "connect_timeout_seconds",
    "request_timeout_seconds": "request_timeout_seconds",
    "max_connections": "max_connections",
    "retries": "retries",
    "load_retries": "load_retries",
    "outage_limit_seconds": "outage_limit_seconds",
    "cleanup_timeout_seconds": "cleanup_timeout_seconds",
}
_FIELDS_OF_THE_TARGET = frozenset({*OF_THE_TARGET.values(), "KFP_TOKEN_FILE", "KFP_TOKEN_COMMAND"})
_FILES = frozenset({"ca_cert", "client_cert", "client_key", "kubeconfig"})
#: A token is renewed during the test, so where it comes from is a setting of its own.
_TOKEN_FIELDS = {"env": "KFP_TOKEN", "file": "KFP_TOKEN_FILE", "command": "KFP_TOKEN_COMMAND"}
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_SECRET_NAME = re.compile(r"token(?!_file|_command|_env)|password|passwd|secret|cookie", re.IGNORECASE)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_EXAMPLE = '{ env = "VARIABLE" }, { file = "path" } or { command = ["program", "argument"] }'


class _Place(NamedTuple):
    """A setting in the file, for messages."""

    path: Path
    target: str
    setting: str = ""

    def __str__(self) -> str:
        return f"{self.path}: [{self.target}]{' ' if self.setting else ''}{self.setting}"


def resolve_target(text: str, config: Config, given: Mapping[str, Any] | None = None) -> Config:
    """Return the settings for a target: an address such as a URL or host:port, or a name in `config.targets`.

    Of `config` an address replaces host and port. A name replaces every setting that describes a target (the
    address, namespace, mode, TLS, and credentials), by those of its table or their defaults. Values `given` by
    field win over both; None is no value. Raises `InputError` with what, where and how to fix it. A command that
    prints a secret other than the token is run here. `target_name` of the result is the name, empty for an address.
    """
    chosen = {field: value for field, value in (given or {}).items() if value is not None}
    text = text.strip()
    if not _NAME.fullmatch(text):
        places = {"KFP_API_HOST": "--target"}
        return _replaced(config, {"KFP_API_HOST": text, **chosen}, frozenset({"KFP_API_PORT"}), places)
    path = config.targets.expanduser()
    tables = _read(path, text)
    if text not in tables:
        raise InputError(_unknown(text, path, tables))
    settings = {**OF_THE_TARGET, **OF_ITS_USE, **_own_settings(type(config))}
    _check(path, text, tables, type(config), settings)
    values: dict[str, Any] = {}
    places = {}
    for setting, value in tables[text].items():
        place = _Place(path, text, setting)
        field, found = _value(place, settings[setting], value, type(config))
        values[field] = found
        places[field] = str(place)
    return _replaced(config, {**values, **chosen}, _FIELDS_OF_THE_TARGET, places).of_target(text)


def _replaced(
    config: Config, values: Mapping[str, Any], own: frozenset[str], places: Mapping[str, str]
) -> Config:
    """The settings with other values; fields in `own` that have none get their defaults."""
    kind = type(config)
    kept = {field: getattr(config, field) for field in config.model_fields_set - own}
    defaults = {field: kind.model_fields[field].get_default(call_default_factory=True) for field in own}
    by_variable = {variable_name(kind, field): place for field, place in places.items()}
    try:
        built = kind.with_values({**kept, **defaults, **values})
    except InputError as error:
        raise InputError(
            Problem(by_variable.get(problem.where, problem.where), problem.what, "Correct it.")
            for problem in error.problems
        ) from None
    # A port that is a default must not replace that of a URL.
    given = built.model_fields_set - (own - values.keys())
    return cast(Config, kind.model_construct(given, **dict(built)))  # noqa: TC006  pydantic's plug-in loses the type


def _read(path: Path, name: str) -> dict[str, dict[str, Any]]:
    """Return the tables of the file. Raises `InputError`."""
    try:
        content = path.read_bytes()
        mode = path.stat().st_mode
    except OSError as error:
        remedy = f'Write it, with [{name}] and its url = "https://...": see docs/configuration.md.'
        what = f"there is no target {name!r}, and the file of targets cannot be read: {error.strerror}"
        raise InputError(Problem(str(path), what, f"{remedy} KFP_PERF_TARGETS names another file.")) from None
    try:
        tables = tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InputError(Problem(str(path), "is not a text in UTF-8")) from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(_syntax(path, str(error))) from None
    if outside := [key for key, value in tables.items() if not isinstance(value, dict)]:
        what = f"{outside[0]} stands in no table"
        raise InputError(Problem(str(path), what, "Write the name of the target in brackets above it."))
    if mode & stat.S_IWOTH:
        what = "can be written by every user of this machine, and names commands to run and servers to trust"
        raise InputError(Problem(str(path), what, f"chmod 600 {shlex.quote(str(path))}"))
    if mode & (stat.S_IRGRP | stat.S_IROTH):
        _warn_once(path)
    return tables


@functools.cache
def _warn_once(path: Path) -> None:
    _log.warning("%s can be read by others: chmod 600 %s", path, shlex.quote(str(path)))


def _syntax(path: Path, message: str) -> Problem:
    if twice := re.search(r"Cannot (?:declare|mutate|overwrite).*\('([^']*)',?\)", message):
        return Problem(str(path), f"names {twice[1]!r} twice: {message}", "Leave one of them out.")
    return Problem(str(path), f"is not TOML: {message}", "See https://toml.io.")


def _unknown(name: str, path: Path, tables: Mapping[str, Any]) -> Problem:
    near = difflib.get_close_matches(name, tables, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]}? " if near else ""
    there = f"It has {', '.join(sorted(tables))}." if tables else "It has none."
    remedy = f"{hint}{there} A host is written as a URL: http://{name}."
    return Problem(str(path), f"there is no target {name!r}", remedy)


def _check(
    path: Path,
    name: str,
    tables: Mapping[str, Mapping[str, Any]],
    kind: type[TestConfig],
    settings: Mapping[str, str],
) -> None:
    """Raise `InputError` for secrets in any table, and for all that is wrong with the settings of one."""
    problems = [
        _literal(_Place(path, target, setting), setting if setting in settings else "token")
        for target, table in tables.items()
        for setting, value in table.items()
        if _is_literal(setting, value, kind, settings)
    ]
    problems += _wrong_settings(path, name, tables[name], kind, settings)
    if problems:
        raise InputError(problems)


def _wrong_settings(
    path: Path, name: str, table: Mapping[str, Any], kind: type[TestConfig], settings: Mapping[str, str]
) -> Iterator[Problem]:
    for setting, value in table.items():
        if setting in settings or _is_literal(setting, value, kind, settings):
            continue
        yield Problem(str(_Place(path, name, setting)), "is not a setting", _meant(setting, kind, settings))
    if "url" in table and "host" in table:
        yield Problem(str(_Place(path, name)), "has a url and a host", "Leave one of them out.")
    elif "url" not in table and "host" not in table:
        yield Problem(str(_Place(path, name)), "has no url", 'Add url = "https://...".')


def _meant(setting: str, kind: type[TestConfig], settings: Mapping[str, str]) -> str:
    """What to write in place of a name that is no setting: the nearest setting, or that of a variable's name."""
    known: dict[str, str] = {}
    for one, field in settings.items():
        known.setdefault(variable_name(kind, field).lower(), one)
    known |= {one: one for one in settings} | dict.fromkeys(
        ("token_env", "token_file", "token_command"), "token"
    )
    near = difflib.get_close_matches(setting.lower(), known, n=1)
    if near and known[near[0]] == "token":
        return f"Write token = {_EXAMPLE}."
    return f"Did you mean {known[near[0]]}?" if near else f"There are {', '.join(settings)}."


def _own_settings(kind: type[TestConfig]) -> dict[str, str]:
    """The settings that a user's subclass adds."""
    return {field: field for field in kind.model_fields if field not in TestConfig.model_fields}


def _is_literal(setting: str, value: Any, kind: type[TestConfig], settings: Mapping[str, str]) -> bool:
    """Whether a value is a secret, in place of a reference to it."""
    if not isinstance(value, str):
        return False
    if "-----BEGIN" in value:
        return True
    field = settings.get(setting, "")
    if field in PROXY_FIELDS:
        return "@" in value
    if not field:
        return bool(_SECRET_NAME.search(setting))
    return is_secret_type(kind.model_fields[field].annotation)


def _literal(place: _Place, setting: str) -> Problem:
    what = "is a secret in a file of settings, where only a reference to it may stand"
    return Problem(str(place), what, f"Write {setting} = {_EXAMPLE}, and renew the secret if others saw it.")


def _value(place: _Place, field: str, value: Any, kind: type[TestConfig]) -> tuple[str, Any]:
    """Return the field and its value, with references resolved. Raises `InputError`."""
    if place.setting in _FILES and isinstance(value, str):
        return field, str(_beside(place.path, value))
    secret = is_secret_type(kind.model_fields[field].annotation)
    if not secret or (field in PROXY_FIELDS and isinstance(value, str)):
        return field, value
    if not isinstance(value, dict) or len(value) != 1 or not value.keys() <= _SOURCES.keys():
        raise InputError(
            Problem(str(place), "is not a reference to a secret", f"Write {place.setting} = {_EXAMPLE}.")
        )
    ((source, reference),) = value.items()
    if not _is_reference(source, reference):
        raise InputError(
            Problem(str(place), f"{source} is not a text", f"Write {place.setting} = {_EXAMPLE}.")
        )
    if field == "KFP_TOKEN" and source == "file":
        return _TOKEN_FIELDS[source], _beside(place.path, reference)
    if field == "KFP_TOKEN" and source == "command":
        return _TOKEN_FIELDS[source], reference
    return field, _SOURCES[source](place, reference)


def _is_reference(source: str, reference: Any) -> bool:
    if source == "command" and isinstance(reference, list):
        return bool(reference) and all(isinstance(one, str) and one for one in reference)
    return isinstance(reference, str) and bool(reference.strip())


def _beside(path: Path, text: str) -> Path:
    """A path in the file: relative ones are relative to its folder."""
    return path.parent / Path(text).expanduser()


def _from_variable(place: _Place, name: str) -> str:
    if not _VARIABLE.fullmatch(name):  # and so perhaps the secret itself
        raise InputError(
            Problem(str(place), "env is not the name of a variable", f"Write {place.setting} = {_EXAMPLE}.")
        )
    if value := os.environ.get(name):
        return value
    raise InputError(Problem(str(place), f"the environment variable {name} is not set", f"Set {name}."))


def _from_file(place: _Place, text: str) -> str:
    path = _beside(place.path, text)
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise InputError(Problem(str(place), f"{path} cannot be read: {reason}")) from None


def _from_command(place: _Place, command: str | list[str]) -> str:
    try:
        words = shlex.split(command) if isinstance(command, str) else command
    except ValueError as error:  # it is not quoted: its arguments may hold a secret
        what = f"is a command that cannot be split into words: {str(error).lower()}"
        raise InputError(Problem(str(place), what, f"Write {place.setting} = {_EXAMPLE}.")) from None
    return run_secret_command(words, str(place)).value


#: Where a secret comes from, and what reads it.
_SOURCES: dict[str, Callable[[_Place, Any], str]] = {
    "env": _from_variable,
    "file": _from_file,
    "command": _from_command,
}
