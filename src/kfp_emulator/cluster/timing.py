"""How long things take on the modelled cluster: distributions, and the profiles that hold them.

A profile is a JSON object; `PROFILE_FIELDS` documents each of its fields. A duration is a number of seconds, or
an object with one of

    {"uniform": {"from": 0.1, "to": 0.2}}
    {"exponential": {"mean": 2}}
    {"normal": {"mean": 2, "sd": 0.5}}
    {"lognormal": {"median": 2, "p99": 10}}
    {"choice": [1, 2, 5]}

beside which `min` and `max` (seconds) may stand as bounds. Nothing is shorter than zero.
"""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from pathlib import Path
from statistics import NormalDist
from typing import Any

from kfp_emulator.clock import SECOND
from kfp_emulator.errors import InputError, Problem

PROFILES = Path(__file__).parent.parent / "profiles"

Quantile = Callable[[float], float]
"""The inverse of a cumulative distribution: a probability in (0, 1) to seconds."""

_MASK = (1 << 64) - 1
_LONGEST_SECONDS = 10 * 365 * 86_400.0
_NORMAL = NormalDist()


class Draws:
    """Random numbers of one run, each named by what it is for, so that no other event can change them.

    The same seed, run and purpose give the same number, in whatever order they are asked for.
    """

    __slots__ = ("_base",)

    def __init__(self, seed: int, name: str) -> None:
        digest = hashlib.blake2b(f"{seed}:{name}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
        self._base = int.from_bytes(digest, "big")

    def bits(self, purpose: str) -> int:
        """Return 64 random bits (the finalizer of splitmix64 over the run and the purpose)."""
        label = purpose.encode("utf-8", "surrogatepass")
        state = self._base ^ zlib.crc32(label) ^ (zlib.adler32(label) << 32)
        state = (state + 0x9E3779B97F4A7C15) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        return state ^ (state >> 31)

    def uniform(self, purpose: str) -> float:
        """Return a number in (0, 1)."""
        return ((self.bits(purpose) >> 12) + 0.5) / (1 << 52)

    def below(self, purpose: str, bound: int) -> int:
        """Return an integer from 0 to `bound` - 1."""
        return self.bits(purpose) % bound


@dataclass(frozen=True, slots=True)
class Distribution:
    """A distribution of durations: `quantile` in seconds, between two bounds."""

    quantile: Quantile
    min_seconds: float = 0.0
    max_seconds: float = _LONGEST_SECONDS
    constant: int | None = None
    """The duration in microseconds, where it never varies: no random number is spent on it."""

    def draw(self, draws: Draws, purpose: str) -> int:
        """Return a duration in microseconds."""
        if self.constant is not None:
            return self.constant
        seconds = self.quantile(draws.uniform(purpose))
        return round(min(max(seconds, self.min_seconds), self.max_seconds) * SECOND)


def constant(seconds: float) -> Distribution:
    """Return the distribution that is always `seconds`."""
    return Distribution(lambda _: seconds, constant=round(seconds * SECOND))


NOTHING = constant(0.0)


def _uniform(*, start: float, end: float) -> Quantile:
    return lambda u: start + (end - start) * u


def _exponential(*, mean: float) -> Quantile:
    return lambda u: -mean * math.log1p(-u)


def _normal(*, mean: float, sd: float) -> Quantile:
    return lambda u: mean + sd * _NORMAL.inv_cdf(u)


def _lognormal(*, median: float, p99: float) -> Quantile:
    sigma = math.log(p99 / median) / _NORMAL.inv_cdf(0.99)
    return lambda u: median * math.exp(sigma * _NORMAL.inv_cdf(u))


def _choice(values: list[float]) -> Quantile:
    return lambda u: values[int(u * len(values))]


_SHAPES: dict[str, tuple[tuple[str, ...], Callable[..., Quantile], Callable[[dict[str, float]], str]]] = {
    "uniform": (
        ("from", "to"),
        lambda **n: _uniform(start=n["from"], end=n["to"]),
        lambda n: "from is greater than to" if n["from"] > n["to"] else "",
    ),
    "exponential": (("mean",), _exponential, lambda _: ""),
    "normal": (("mean", "sd"), _normal, lambda _: ""),
    "lognormal": (
        ("median", "p99"),
        _lognormal,
        lambda n: "" if 0 < n["median"] <= n["p99"] else "median must be positive and at most p99",
    ),
}
"""Each shape: its numbers, what they make, and what is wrong with them."""


@dataclass(frozen=True, slots=True)
class Profile:
    """The timing of one modelled installation; the defaults are those of `instant`."""

    name: str = "instant"
    description: str = ""
    create_seconds: Distribution = NOTHING
    kubernetes_calls_per_second: float = 0.0
    kubernetes_burst: int = 1
    controller_requeue_seconds: Distribution = NOTHING
    controller_workers: int = 32
    controller_calls_per_second: float = 0.0
    controller_burst: int = 1
    controller_pass_seconds: Distribution = NOTHING
    nodes: int = 1
    pods_per_node: int = 0
    scheduling_seconds: Distribution = NOTHING
    image_pull_seconds: Distribution = NOTHING
    startup_seconds: Distribution = NOTHING
    driver_seconds: Distribution = NOTHING
    executor_seconds: Distribution = NOTHING
    executor_seconds_by_task: dict[str, Distribution] = field(default_factory=dict)
    executor_failure_share: float = 0.0
    importer_seconds: Distribution = NOTHING
    termination_seconds: Distribution = NOTHING
    report_delay_seconds: Distribution = field(default_factory=lambda: constant(0.001))
    report_seconds: Distribution = NOTHING
    report_tasks_seconds: Distribution = NOTHING
    report_workers: int = 2
    final_report_calls: int = 0
    schedule_resync_seconds: float = 0.0
    schedule_wait_seconds: float = 0.0

    def executor_distribution(self, task: str) -> Distribution:
        """Return how long the executor of a task takes: by the first pattern that fits, else as all others."""
        for pattern, distribution in self.executor_seconds_by_task.items():
            if fnmatchcase(task, pattern):
                return distribution
        return self.executor_seconds


PROFILE_FIELDS: dict[str, tuple[str, str]] = {
    "description": ("text", "one line, shown by the list of profiles"),
    "create_seconds": ("duration", "a write of the API server to Kubernetes, without the throttle"),
    "kubernetes_calls_per_second": ("number", "the throttle of those writes; 0 is none"),
    "kubernetes_burst": ("count", "how many writes pass before the throttle acts"),
    "controller_requeue_seconds": (
        "duration",
        "from a change of a pod until the controller looks at its workflow",
    ),
    "controller_workers": ("count", "how many workflows the controller looks at at once"),
    "controller_calls_per_second": (
        "number",
        "the throttle of each of the controller's two clients; 0 is none",
    ),
    "controller_burst": ("count", "how many of their requests pass before the throttle acts"),
    "controller_pass_seconds": ("duration", "how long one look takes"),
    "nodes": ("count", "nodes of the cluster; each pulls an image once"),
    "pods_per_node": ("whole", "pods that fit on a node; 0 is without limit"),
    "scheduling_seconds": ("duration", "from a free place until the pod has its node"),
    "image_pull_seconds": ("duration", "the pull of an image that the node has not seen"),
    "startup_seconds": ("duration", "from the image until the program in the pod runs"),
    "driver_seconds": ("duration", "a driver's work"),
    "executor_seconds": ("duration", "an executor's work"),
    "executor_seconds_by_task": ("durations", "the same for tasks whose name fits a pattern (* and ?)"),
    "executor_failure_share": ("share", "share of executors that fail, 0 to 1"),
    "importer_seconds": ("duration", "an importer's work"),
    "termination_seconds": ("duration", "from the termination of a pod until it has gone"),
    "report_delay_seconds": (
        "duration",
        "from a change of a workflow until the persistence agent takes it up",
    ),
    "report_seconds": ("duration", "one report to the API server"),
    "report_tasks_seconds": (
        "duration",
        "from the row of a run until those of its tasks are written, without the calls of a last report",
    ),
    "report_workers": ("count", "reports at once"),
    "final_report_calls": ("whole", "throttled writes that the last report of a run costs the API server"),
    "schedule_resync_seconds": ("number", "how often the schedule controller looks at each recurring run"),
    "schedule_wait_seconds": ("number", "how long it waits after it started a run"),
}
"""Every field of a profile's file: its kind, and what it means."""


def list_profiles() -> dict[str, str]:
    """Return the built-in profiles with a one-line description each, the quickest first."""
    found = {
        path.stem: json.loads(path.read_text("utf-8"))["description"] for path in PROFILES.glob("*.json")
    }
    order = ("instant", "fast")
    return dict(sorted(found.items(), key=lambda item: (item[0] not in order, item[0] != "instant", item[0])))


def load_profile(name: str) -> Profile:
    """Return a built-in profile by its name, or the profile in a JSON file by its path.

    Raises:
        InputError: there is no such profile, or its file is wrong; holds every problem with its place.

    """
    built_in = PROFILES / f"{name}.json"
    path = built_in if Path(name).name == name and built_in.is_file() else Path(name)
    try:
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        known = ", ".join(list_profiles())
        raise InputError(Problem("profile", f"there is no profile {name!r}", f"{known}, or a file")) from None
    except OSError as fault:
        raise InputError(Problem(str(path), f"cannot be read: {fault.strerror}")) from None
    except (ValueError, RecursionError) as fault:
        raise InputError(Problem(str(path), f"is not JSON: {fault}")) from None
    return parse_profile(path.stem, document, where=str(path))


def parse_profile(name: str, document: object, *, where: str = "profile") -> Profile:
    """Return the profile that a decoded JSON document describes.

    Raises:
        InputError: every problem, each with its place.

    """
    problems: list[Problem] = []
    if not isinstance(document, dict):
        raise InputError(Problem(f"{where}: $", "must be an object"))
    values: dict[str, Any] = {"name": name}
    for key, value in document.items():
        place = f"{where}: $.{key}"
        if key not in PROFILE_FIELDS:
            problems.append(Problem(place, "is no field of a profile", "known: " + ", ".join(PROFILE_FIELDS)))
            continue
        try:
            values[key] = _READERS[PROFILE_FIELDS[key][0]](value)
        except ValueError as fault:
            problems.append(Problem(place, str(fault)))
    if problems:
        raise InputError(problems)
    return Profile(**values)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a text")  # noqa: TRY004  one kind of fault for all of a profile
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _LONGEST_SECONDS:
        raise ValueError("must be a number, not below 0")
    return float(value)


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 10_000_000:
        raise ValueError("must be a whole number, not below 0")
    return value


def _count(value: object) -> int:
    if not isinstance(value, int) or not _whole(value):
        raise ValueError("must be a whole number, at least 1")
    return value


def _share(value: object) -> float:
    if not isinstance(value, (int, float)) or not _number(value) <= 1:
        raise ValueError("must be a number from 0 to 1")
    return float(value)


def _duration(value: object) -> Distribution:
    if not isinstance(value, dict):
        return constant(_number(value))
    bounds = {key: _number(value[key]) for key in ("min", "max") if key in value}
    low, high = bounds.get("min", 0.0), bounds.get("max", _LONGEST_SECONDS)
    if low > high:
        raise ValueError("min is greater than max")
    shapes = [key for key in value if key not in {"min", "max"}]
    allowed = ", ".join((*_SHAPES, "choice"))
    if len(shapes) != 1 or shapes[0] not in {*_SHAPES, "choice"}:
        raise ValueError(f"must be a number of seconds, or hold exactly one of {allowed}")
    shape, numbers = shapes[0], value[shapes[0]]
    if shape == "choice":
        if not isinstance(numbers, list) or not numbers:
            raise ValueError("choice must be a list of seconds with at least one in it")
        return Distribution(_choice([_number(each) for each in numbers]), low, high)
    names, make, fault_of = _SHAPES[shape]
    if not isinstance(numbers, dict) or set(numbers) != set(names):
        raise ValueError(f"{shape} needs exactly: {', '.join(names)}")
    parsed = {key: _number(each) for key, each in numbers.items()}
    if fault := fault_of(parsed):
        raise ValueError(f"{shape}: {fault}")
    return Distribution(make(**parsed), low, high)


def _durations(value: object) -> dict[str, Distribution]:
    if not isinstance(value, dict):
        raise ValueError("must be an object of patterns and durations")  # noqa: TRY004  as above
    return {pattern: _duration(each) for pattern, each in value.items()}


_READERS: dict[str, Callable[[object], Any]] = {
    "text": _text,
    "number": _number,
    "whole": _whole,
    "count": _count,
    "share": _share,
    "duration": _duration,
    "durations": _durations,
}

if {each.name for each in fields(Profile)} != {"name", *PROFILE_FIELDS}:  # pragma: no cover
    raise AssertionError("every field of a profile is documented, and no other")
