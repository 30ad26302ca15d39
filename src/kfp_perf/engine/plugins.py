"""The user's own runners and collectors: found by entry point, or in a module that the command line names."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_perf.errors import InputError, Problem
from kfp_perf.metrics import METRICS, MetricsCollector
from kfp_perf.runners import RUNNERS, BaseRunner, create_runner

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kfp_perf.runners import CreateRunner

_RUNNERS_GROUP = "kfp_perf.runners"
_METRICS_GROUP = "kfp_perf.metrics"


@dataclass(frozen=True, slots=True)
class Plugins:
    """Runners by the mode that they do, and collectors by the key of their metrics.

    `create_runner` makes the runner of a scenario; it can be pickled if it is a function of a module.
    """

    runners: dict[str, type[BaseRunner]] = field(default_factory=dict)
    collectors: dict[str, type[MetricsCollector]] = field(default_factory=dict)
    create_runner: CreateRunner = create_runner


def load_plugins(modules: Iterable[str] = ()) -> Plugins:
    """Load what the entry points `kfp_perf.runners` and `kfp_perf.metrics` name, then the modules.

    A module is a dotted name or the path of a Python file, and declares tables: `RUNNERS = {"MY_MODE": MyRunner}`
    and `METRICS = {"my_key": MyCollector}`. Raises `InputError` with every problem.
    """
    plugins = Plugins()
    problems: list[Problem] = []
    for group, table in ((_RUNNERS_GROUP, plugins.runners), (_METRICS_GROUP, plugins.collectors)):
        for entry in entry_points(group=group):
            where = f"entry point {entry.name} ({entry.value})"
            try:
                loaded = entry.load()
            except Exception as error:  # noqa: BLE001  whatever an import raises
                problems.append(_cannot_import(where, error))
                continue
            problems += _add(table, {entry.name: loaded}, where, group)
    for name in modules:
        try:
            module = _import(name)
        except Exception as error:  # noqa: BLE001  whatever an import raises
            problems.append(_cannot_import(f"--plugin {name}", error))
            continue
        tables = (
            (getattr(module, "RUNNERS", None), plugins.runners, _RUNNERS_GROUP),
            (getattr(module, "METRICS", None), plugins.collectors, _METRICS_GROUP),
        )
        if all(declared is None for declared, _, _ in tables):
            remedy = 'Declare RUNNERS = {"MY_MODE": MyRunner} or METRICS = {"my_key": MyCollector} in it.'
            problems.append(Problem(f"--plugin {name}", "declares neither RUNNERS nor METRICS", remedy))
        for declared, table, group in tables:
            if declared is not None:
                problems += _add(table, declared, f"--plugin {name}", group)
    if problems:
        raise InputError(problems)
    return plugins


def _add(table: dict[str, type[Any]], declared: Any, where: str, group: str) -> list[Problem]:
    base: type = BaseRunner if group == _RUNNERS_GROUP else MetricsCollector
    taken = {*table, *(RUNNERS if group == _RUNNERS_GROUP else METRICS)}
    if not isinstance(declared, Mapping):
        return [
            Problem(where, "its table is not a dictionary", f"Map names to subclasses of {base.__name__}.")
        ]
    problems = []
    for key, kind in declared.items():
        if not (isinstance(kind, type) and issubclass(kind, base)):
            problems.append(Problem(where, f"{key!r} is not a subclass of {base.__name__}"))
        elif key in taken:
            problems.append(Problem(where, f"the name {key!r} is taken", "Choose another one."))
        else:
            table[str(key)] = kind
    return problems


def _import(name: str) -> Any:
    if not name.endswith(".py"):
        return importlib.import_module(name)
    path = Path(name).resolve()
    # A name of its own: queue.py must not become the `queue` of everybody else. The same file is the same module,
    # so that --plugin and --config-class of one file get the same classes.
    module_name = f"kfp_perf_plugin_{path.stem}_{hashlib.sha256(bytes(path)).hexdigest()[:8]}"
    if module_name in sys.modules:
        return sys.modules[module_name]
    specification = importlib.util.spec_from_file_location(module_name, path)
    if specification is None or specification.loader is None or not path.is_file():
        raise FileNotFoundError(f"there is no file {name}")
    module = importlib.util.module_from_spec(specification)
    sys.modules[module_name] = module
    try:
        specification.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
    return module


def _cannot_import(where: str, error: Exception) -> Problem:
    what = f"cannot be imported: {type(error).__name__}: {error}"
    return Problem(where, what, "Is it installed here, or its folder on PYTHONPATH?")


def load_class(name: str, base: type[Any], where: str) -> type[Any]:
    """Load a class by `module:Class`, where the module may be a Python file. Raises `InputError`."""
    module_name, _, class_name = name.rpartition(":")
    if not module_name or not class_name:
        raise InputError(Problem(where, f"{name!r} names no class", "Write module:Class, or file.py:Class."))
    try:
        found = getattr(_import(module_name), class_name)
    except Exception as error:
        raise InputError(_cannot_import(f"{where} {name}", error)) from error
    if not (isinstance(found, type) and issubclass(found, base)):
        raise InputError(Problem(f"{where} {name}", f"is not a subclass of {base.__name__}"))
    return found
