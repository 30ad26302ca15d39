"""The user's own runners, collectors and reports: found by entry point, or in a module given with `--plugin`."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kfp_perf.errors import InputError, Problem
from kfp_perf.metrics import METRICS, MetricsCollector
from kfp_perf.metrics.metric import Metric
from kfp_perf.metrics.registry import built_in
from kfp_perf.runners import RUNNERS, BaseRunner, create_runner

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from kfp_perf.result.reader import TestResult
    from kfp_perf.runners import CreateRunner

    DrawReport = Callable[[TestResult], Mapping[str, bytes]]
    MakeSection = Callable[[Any], Any]


#: The prefix of the names of modules that were loaded from files.
_FILE_PREFIX = "kfp_perf_plugin_"


@dataclass(frozen=True, slots=True)
class Plugins:
    """Runners by the mode that they do, collectors by the key of their metrics, reports and sections by name.

    A report is a function that takes a `TestResult` and returns the files to write, as bytes by name. A section is
    a function that takes `kfp_perf.reports.story.Material` and returns a `Section` of the report, or None.
    `create_runner` makes the runner of a scenario; it can be pickled if it is a function of a module.
    """

    runners: dict[str, type[BaseRunner]] = field(default_factory=dict)
    collectors: dict[str, type[MetricsCollector]] = field(default_factory=dict)
    reports: dict[str, DrawReport] = field(default_factory=dict)
    sections: dict[str, MakeSection] = field(default_factory=dict)
    create_runner: CreateRunner = create_runner


class _Kind(NamedTuple):
    """A kind of plug-in: its table in a module, its field of `Plugins`, what fits, and names that are taken."""

    table: str
    field: str
    what: str
    fits: Callable[[Any], bool]
    taken: Collection[str]
    example: str


def _subclass_of(base: type) -> Callable[[Any], bool]:
    return lambda found: isinstance(found, type) and issubclass(found, base)


_KINDS = (
    _Kind(
        "RUNNERS",
        "runners",
        "a subclass of BaseRunner",
        _subclass_of(BaseRunner),
        RUNNERS,
        'RUNNERS = {"MY_MODE": MyRunner}',
    ),
    _Kind(
        "METRICS",
        "collectors",
        "a subclass of MetricsCollector",
        _subclass_of(MetricsCollector),
        METRICS,
        'METRICS = {"my_key": MyCollector}',
    ),
    _Kind("REPORTS", "reports", "a function", callable, (), 'REPORTS = {"my-report": my_function}'),
    _Kind("SECTIONS", "sections", "a function", callable, (), 'SECTIONS = {"my-section": my_function}'),
)


def load_plugins(modules: Iterable[str] = ()) -> Plugins:
    """Load what entry points of the groups `kfp_perf.runners` and so on name, then the modules.

    The groups are runners, metrics, reports and sections. A module is a dotted name or the path of a Python
    file, and declares at least one of the tables `RUNNERS = {"MY_MODE": MyRunner}`, `METRICS = {"my_key":
    MyCollector}`, `REPORTS = {"my-report": my_function}` and `SECTIONS = {"my-section": my_function}`. Raises
    `InputError` with every problem.
    """
    plugins = Plugins()
    problems: list[Problem] = []
    for kind in _KINDS:
        for entry in entry_points(group=f"kfp_perf.{kind.table.lower()}"):
            where = f"entry point {entry.name} ({entry.value})"
            try:
                loaded = entry.load()
            except Exception as error:  # noqa: BLE001  whatever an import raises
                problems.append(_cannot_import(where, error))
                continue
            problems += _add(plugins, kind, {entry.name: loaded}, where)
    for name in modules:
        where = f"--plugin {name}"
        try:
            module = _import(name)
        except Exception as error:  # noqa: BLE001  whatever an import raises
            problems.append(_cannot_import(where, error))
            continue
        declared = [
            (kind, table) for kind in _KINDS if (table := getattr(module, kind.table, None)) is not None
        ]
        if not declared:
            *tables, last = (kind.table for kind in _KINDS)
            what = f"declares none of {', '.join(tables)} and {last}"
            remedy = (
                f"Declare {', '.join(kind.example for kind in _KINDS[:-1])} or {_KINDS[-1].example} in it."
            )
            problems.append(Problem(where, what, remedy))
        for kind, table in declared:
            problems += _add(plugins, kind, table, where)
    if problems:
        raise InputError(problems)
    return plugins


def _add(plugins: Plugins, kind: _Kind, declared: Any, where: str) -> list[Problem]:
    table: dict[str, Any] = getattr(plugins, kind.field)
    if not isinstance(declared, Mapping):
        return [Problem(where, f"{kind.table} is not a dictionary", f"Write {kind.example}.")]
    problems = []
    for key, found in declared.items():
        if not kind.fits(found):
            problems.append(Problem(where, f"{key!r} is not {kind.what}"))
        elif key in table or key in kind.taken:
            problems.append(Problem(where, f"the name {key!r} is taken", "Choose another one."))
        elif unfit := _unfit_metrics(str(key), found):
            problems.append(Problem(where, *unfit))
        else:
            table[str(key)] = found
    return problems


def _unfit_metrics(key: str, found: Any) -> tuple[str, str] | None:
    """What is wrong with the metrics that a collector declares, and what to write; None where nothing is."""
    for one in getattr(found, "metrics", ()):
        if not isinstance(one, Metric):
            return f"{found.__name__}.metrics holds {one!r}", "Declare values of kfp_perf.Metric."
        if one.path[:1] != (key,):
            return (
                f"the path of the metric {one.name!r} is {one.path!r}",
                f"Begin it with {key!r}, the collector's key.",
            )
        if built_in().find(one.name) is not None:
            return f"the name {one.name!r} is that of a built-in metric", "Choose another one."
    return None


def _import(name: str) -> Any:
    if not name.endswith(".py"):
        return importlib.import_module(name)
    return load_file(Path(name).resolve())


def plugin_files() -> tuple[Path, ...]:
    """Return the files that were loaded as modules in this process."""
    return tuple(
        Path(file)
        for name, module in tuple(sys.modules.items())
        if name.startswith(_FILE_PREFIX) and (file := getattr(module, "__file__", None))
    )


def load_file(path: Path) -> Any:
    """Load a Python file as a module, once. Raises any exception of the import."""
    # A prefixed name: queue.py must not replace the standard `queue`. The same file is the same module,
    # so that --plugin and --config-class of one file get the same classes.
    module_name = f"{_FILE_PREFIX}{path.stem}_{hashlib.sha256(bytes(path)).hexdigest()[:8]}"
    if module_name in sys.modules:
        return sys.modules[module_name]
    specification = importlib.util.spec_from_file_location(module_name, path)
    if specification is None or specification.loader is None or not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
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
    missing = isinstance(error, ModuleNotFoundError)
    return Problem(where, what, "Is it installed here, or its folder on PYTHONPATH?" if missing else "")


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
