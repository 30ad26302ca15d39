"""Faults: which requests (and runs) are to be disturbed, and how; data that a file or the control API gives.

A plan is a list of rules. A rule has the requests that it meets (operation, path), when (share, count, every,
seconds since it was set), and what happens then. Chance is drawn from a generator of the rule's own, so adding a
rule does not change what another one hits.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

import msgspec

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for a document that is not the expected JSON."""


class FaultError(ValueError):
    """A plan of faults is not valid; the text is where and why."""


class Delay(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A time in seconds, drawn anew each time: constant, uniform, exponential, normal or lognormal."""

    distribution: Literal["constant", "uniform", "exponential", "normal", "lognormal"] = "constant"
    seconds: float = 0.0
    """The constant; the mean of exponential and normal; the median of lognormal; the least of uniform."""
    spread: float = 0.0
    """Uniform: the most; normal: the standard deviation; lognormal: sigma of the logarithm."""

    def draw(self, rng: random.Random) -> float:
        """Return one time, never negative."""
        seconds, spread = self.seconds, self.spread
        if self.distribution == "constant" or not seconds + spread:
            return max(0.0, seconds)
        if self.distribution == "uniform":
            return max(0.0, rng.uniform(seconds, max(seconds, spread)))
        if self.distribution == "exponential":
            return rng.expovariate(1.0 / seconds) if seconds > 0 else 0.0
        if self.distribution == "normal":
            return max(0.0, rng.gauss(seconds, spread))
        return seconds * rng.lognormvariate(0.0, spread)


class Effect(msgspec.Struct, tag_field="kind", forbid_unknown_fields=True, frozen=True):
    """What a rule does."""


class Latency(Effect, tag="latency", forbid_unknown_fields=True, frozen=True):
    """Wait before or after the work is done."""

    delay: Delay
    when: Literal["before", "after"] = "before"


class Status(Effect, tag="status", forbid_unknown_fields=True, frozen=True):
    """Answer with a status instead of doing the work (or, `when` after, although it was done)."""

    status: int
    body: Literal["kfp", "html", "empty"] = "kfp"
    message: str = ""
    retry_after: str = ""
    """The Retry-After header: seconds, or an HTTP date."""
    when: Literal["before", "after"] = "before"


class Reset(Effect, tag="reset", forbid_unknown_fields=True, frozen=True):
    """Reset the connection before the work, or after it was done and before a byte of the answer."""

    when: Literal["before", "after"] = "before"


class Stall(Effect, tag="stall", forbid_unknown_fields=True, frozen=True):
    """Do the work, send the head and half of the body, and then nothing for so long (None: for ever)."""

    seconds: float | None = None


class Truncate(Effect, tag="truncate", forbid_unknown_fields=True, frozen=True):
    """Send only a share of the body that Content-Length promises, and close."""

    share: float = 0.5


class Garbage(Effect, tag="garbage", forbid_unknown_fields=True, frozen=True):
    """Do the work, and answer 200 with something that is no KFP JSON."""

    content_type: str = ""
    text: str = '{"runs": [{"run_id": 17, "created_at": "yesterday"'


class FalseValues(Effect, tag="false_values", forbid_unknown_fields=True, frozen=True):
    """Let an endpoint of metrics serve false values: they go `backwards` now and then, or cannot be right."""

    value: Literal["backwards", "nan", "infinite", "negative", "text"] = "backwards"


class Restart(Effect, tag="restart", forbid_unknown_fields=True, frozen=True):
    """Restart the server: all connections reset, and refused for so long; `forget` loses the database too."""

    outage_seconds: float = 1.0
    forget: bool = False


class BrokenYaml(Effect, tag="broken_yaml", forbid_unknown_fields=True, frozen=True):
    """Never answer an upload whose YAML cannot be parsed, as 2.17.0 does: there it keeps a core busy, too."""


class CutWatch(Effect, tag="cut_watch", forbid_unknown_fields=True, frozen=True):
    """End each watch of the Kubernetes API after so many seconds; with `reset` by a broken connection."""

    seconds: float = 1.0
    reset: bool = False


class ExpireWatch(Effect, tag="expire_watch", forbid_unknown_fields=True, frozen=True):
    """End each watch of the Kubernetes API after so many seconds with 410: its history is not kept any more."""

    seconds: float = 1.0


class SlowReports(Effect, tag="slow_reports", forbid_unknown_fields=True, frozen=True):
    """Hold back every report of the runs that are met by so much more."""

    delay: Delay


class StuckRuns(Effect, tag="stuck_runs", forbid_unknown_fields=True, frozen=True):
    """The runs that are met never go on after they were accepted."""


class FailedPods(Effect, tag="failed_pods", forbid_unknown_fields=True, frozen=True):
    """Executor pods of the runs that are met fail: those of the named task, or of any."""

    task: str = ""
    attempts: int = -1
    """How many attempts of a task fail before one succeeds (for retry policies); -1: all."""
    node_phase: Literal["Failed", "Error"] = "Failed"


RequestEffect = (
    Latency
    | Status
    | Reset
    | Stall
    | Truncate
    | Garbage
    | FalseValues
    | Restart
    | BrokenYaml
    | CutWatch
    | ExpireWatch
)
RunEffect = SlowReports | StuckRuns | FailedPods
_RUN_EFFECTS = (SlowReports, StuckRuns, FailedPods)


Target = Literal["api", "kubernetes", "metrics", "controller_metrics"]


class Rule(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """One rule of a plan; for effects on runs, `operation` is that of the run's creation and `run` its name."""

    effect: (
        Latency
        | Status
        | Reset
        | Stall
        | Truncate
        | Garbage
        | FalseValues
        | Restart
        | BrokenYaml
        | CutWatch
        | ExpireWatch
        | SlowReports
        | StuckRuns
        | FailedPods
    )
    target: Target = "api"
    """What it meets: KFP's API, the Kubernetes API, or an endpoint of metrics."""
    name: str = ""
    operation: str = "*"
    """A pattern for the operation: `CreateRun`, `Get*`, `*`."""
    path: str = "*"
    """A pattern for the path."""
    run: str = "*"
    """A pattern for the run's name, for effects on runs."""
    share: float = 1.0
    skip: int = 0
    every: int = 1
    count: int | None = None
    from_seconds: float = 0.0
    until_seconds: float | None = None
    period_seconds: float | None = None
    on_seconds: float | None = None
    """With a period: how long of each period the rule is on."""


def read_rules(data: bytes | str) -> list[Rule]:
    """Read a plan: a list of rules, or an object {"faults": [...]}.

    Raises:
        FaultError: it is none; the text names the place, e.g. `$[0].effect.status`.

    """
    try:
        document = msgspec.json.decode(data)
        if isinstance(document, dict) and set(document) == {"faults"}:
            document = document["faults"]
        rules = msgspec.convert(document, list[Rule])
    except UNREADABLE as error:
        raise FaultError(str(error)) from None
    for index, rule in enumerate(rules):
        problem = _problem(rule)
        if problem:
            raise FaultError(f"{problem} - at `$[{index}]`")
    return rules


def _problem(rule: Rule) -> str:
    effect = rule.effect
    checks = {
        "share must lie between 0 and 1": 0 <= rule.share <= 1,
        "every must be at least 1": rule.every >= 1,
        "skip must not be negative": rule.skip >= 0,
        "count must not be negative": rule.count is None or rule.count >= 0,
        "on_seconds needs period_seconds": rule.on_seconds is None or rule.period_seconds is not None,
        "period_seconds must be positive": rule.period_seconds is None or rule.period_seconds > 0,
        "effect.status must lie between 400 and 599": not isinstance(effect, Status)
        or 400 <= effect.status <= 599,
        "effect.share must lie between 0 and 1": not isinstance(effect, Truncate) or 0 <= effect.share < 1,
    }
    return next((text for text, good in checks.items() if not good), "")


@dataclass(slots=True)
class _Active:
    """A rule that is on, and how often it met and hit."""

    number: int
    rule: Rule
    since: int
    rng: random.Random
    met: int = 0
    hit: int = 0

    def applies(self, operation: str, path: str, run: str, now: int) -> bool:
        rule = self.rule
        if not (
            fnmatchcase(operation, rule.operation)
            and fnmatchcase(path, rule.path)
            and fnmatchcase(run, rule.run)
        ):
            return False
        age = (now - self.since) / 1_000_000
        if age < rule.from_seconds or (rule.until_seconds is not None and age >= rule.until_seconds):
            return False
        if rule.period_seconds is not None:
            on = rule.period_seconds / 2 if rule.on_seconds is None else rule.on_seconds
            if (age - rule.from_seconds) % rule.period_seconds >= on:
                return False
        self.met += 1
        if self.met <= rule.skip or (self.met - rule.skip - 1) % rule.every:
            return False
        if rule.count is not None and self.hit >= rule.count:
            return False
        if rule.share < 1 and self.rng.random() >= rule.share:
            return False
        self.hit += 1
        return True


@dataclass(slots=True)
class FaultPlan:
    """The rules of one server, and what they did."""

    seed: int = 0
    _active: list[_Active] = field(default_factory=list)
    _retired: dict[str, int] = field(default_factory=dict)
    _number: int = 0
    on_requests: bool = False
    """Whether any rule concerns requests: a server without faults checks no more than this."""
    on_runs: bool = False

    def add(self, rules: list[Rule], now: int) -> list[int]:
        """Switch rules on from now, and return their numbers."""
        numbers = []
        for rule in rules:
            self._number += 1
            numbers.append(self._number)
            rng = random.Random(f"{self.seed}:fault:{self._number}:{rule.name}")
            self._active.append(_Active(self._number, rule, now, rng))
        self._refresh()
        return numbers

    def remove(self, number: int | None = None) -> int:
        """Switch one rule off, or all; return how many were."""
        gone = [active for active in self._active if number is None or active.number == number]
        for active in gone:
            kind = _kind(active.rule)
            self._retired[kind] = self._retired.get(kind, 0) + active.hit
        self._active = [active for active in self._active if active not in gone]
        self._refresh()
        return len(gone)

    def _refresh(self) -> None:
        self.on_runs = any(isinstance(active.rule.effect, _RUN_EFFECTS) for active in self._active)
        self.on_requests = any(not isinstance(active.rule.effect, _RUN_EFFECTS) for active in self._active)

    def for_request(
        self, operation: str, path: str, now: int, target: Target
    ) -> list[tuple[RequestEffect, random.Random]]:
        """Return the effects on this request, each with the generator that it draws from."""
        return [
            (active.rule.effect, active.rng)
            for active in self._active
            if not isinstance(active.rule.effect, _RUN_EFFECTS)
            and active.rule.target == target
            and active.applies(operation, path, "", now)
        ]

    def for_run(self, name: str, now: int) -> list[tuple[RunEffect, random.Random]]:
        """Return the effects on a run that is being created."""
        return [
            (active.rule.effect, active.rng)
            for active in self._active
            if isinstance(active.rule.effect, _RUN_EFFECTS) and active.applies("CreateRun", "", name, now)
        ]

    def describe(self) -> list[dict[str, Any]]:
        """Return the rules that are on, with their numbers and counts, as the control API shows them."""
        return [
            {
                "id": active.number,
                "met": active.met,
                "hit": active.hit,
                "rule": msgspec.to_builtins(active.rule),
            }
            for active in self._active
        ]

    def injected(self) -> dict[str, int]:
        """Return how many faults were injected so far, by kind."""
        counts = dict(self._retired)
        for active in self._active:
            kind = _kind(active.rule)
            counts[kind] = counts.get(kind, 0) + active.hit
        return counts


def _kind(rule: Rule) -> str:
    kind: str = msgspec.to_builtins(rule.effect)["kind"]
    return kind
