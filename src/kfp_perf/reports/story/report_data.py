"""What a report is made from: everything of a result, read once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kfp_perf.reports.buckets import ApiCourse, Buckets, read_course
from kfp_perf.reports.charts import Band
from kfp_perf.reports.digest import RunDigest, digest
from kfp_perf.reports.document import complete, dig
from kfp_perf.reports.keeping_up import keeping_up
from kfp_perf.reports.quantities import brief_of
from kfp_perf.result.timestamps import epoch_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kfp_perf.result.reader import TestResult

#: More labels would cover the chart.
_MOST_STANDSTILLS = 3
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class Material:
    """A result that was read.

    `document` has all that reports look for, `missing` names what it lacked. `started` is the test's time zero in
    seconds since the Unix epoch, `seconds` how long from there until the last run and the last scenario were over
    (clean-up is left out).
    """

    result: TestResult
    document: dict[str, Any]
    missing: list[str]
    started: float
    seconds: float
    runs: RunDigest
    course: ApiCourse
    bands: list[Band]

    @property
    def scenarios(self) -> list[dict[str, Any]]:
        """The scenarios, in the order of the file."""
        scenarios: list[dict[str, Any]] = self.document["scenarios"]
        return scenarios

    @property
    def moments(self) -> list[tuple[float, str]]:
        """When the server fell behind and the generator stood still, in seconds from time zero, for the charts."""
        behind = [
            (one.since - self.started, f"{one.scenario} behind" if len(self.scenarios) > 1 else "behind")
            for one in keeping_up(self.document)
            if one.since is not None
        ]
        return behind + [
            (begin - self.started, f"generator stood still for {brief_of(end - begin)}")
            for begin, end in self._standstills()
        ]

    def _standstills(self) -> list[tuple[float, float]]:
        """The longest stretches in which the generator stood still, by their begin and end."""
        found = dig(self.document, "generator", "standstills")
        pairs = [
            (float(one[0]), float(one[1]))
            for one in (found if isinstance(found, list) else ())
            if isinstance(one, list) and len(one) == 2 and all(isinstance(each, int | float) for each in one)
        ]
        return sorted(pairs, key=lambda pair: pair[0] - pair[1])[:_MOST_STANDSTILLS]

    def has_runs(self, scenario: dict[str, Any]) -> bool:
        """Whether a scenario was to start runs."""
        return bool(scenario["name"] in self.runs.scenarios or dig(scenario, "metrics", "runs", "due"))

    @property
    def total(self) -> dict[str, Any]:
        """The figures of the whole test: a key a family."""
        total: dict[str, Any] = self.document["total"]
        return total


def read_material(result: TestResult) -> Material:
    """Read a result."""
    document, missing = complete(result.document)
    try:
        runs = digest(result.runs())
    except OSError as error:
        runs = RunDigest()
        missing.append(f"runs.jsonl ({error.strerror})")
    else:
        figures = document["total"]["runs"]
        counted = sum(_count(figures, name) for name in ("due", "cut_off", "warmup"))
        missing += _cut("runs", runs.runs, counted, "runs.jsonl")
    started = epoch_of(document["started"])
    if started is None:
        started = min(runs.created, default=0.0)
    ends = [end - started for one in document["scenarios"] if (end := epoch_of(one["finished"])) is not None]
    latest = runs.latest - started if runs.runs else 0.0
    seconds = max([latest, *ends]) or float(document["elapsed_seconds"]) or 1.0
    buckets = Buckets(started, seconds)
    bands = [
        Band(letter_of(place), begin - started, (epoch_of(one["finished"]) or started + seconds) - started)
        for place, one in enumerate(document["scenarios"])
        if (begin := epoch_of(one["started"])) is not None
    ]
    try:
        course = read_course(result, buckets)
    except OSError as error:
        course = ApiCourse(buckets)
        missing.append(f"series.hlog ({error.strerror})")
    else:
        # Only what was answered or failed has times.
        counted = sum(
            _count(one, "answered") + _count(one, "errors") for one in _operations(document["total"]["api"])
        )
        missing += _cut("requests", course.requests, counted, "series.hlog")
    return Material(result, document, missing, started, seconds, runs, course, bands)


def _cut(what: str, found: int, counted: int, file: str) -> list[str]:
    """The text on a file that holds less than `result.json` counts."""
    return [f"{counted - found:,} of {counted:,} {what} (in {file})"] if found < counted else []


def _operations(api: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for calls in api.values():
        if isinstance(calls, dict):
            # A variant of a list read is in its operation as well.
            yield from (one for name, one in calls.items() if isinstance(one, dict) and "." not in name)


def _count(figures: dict[str, Any], key: str) -> int:
    value = figures.get(key)
    return value if isinstance(value, int) else 0


def letter_of(place: int) -> str:
    """A scenario's letter: A to Z, then A2 and so on."""
    round_, letter = divmod(place, len(_LETTERS))
    return _LETTERS[letter] + (str(round_ + 1) if round_ else "")
