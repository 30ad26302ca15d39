"""Random clusters with a known limit, and plateaus of load on them in virtual time and without HTTP."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_emulator.clock import SECOND, ManualClock
from kfp_emulator.cluster.cluster import Cluster
from kfp_emulator.cluster.requests import RunRequest
from kfp_emulator.cluster.timing import PROFILES, parse_profile
from kfp_emulator.pipelines.ir import parse_pipeline
from kfp_perf.statistics.backlog import Flow, plateau_growth
from kfp_perf.studies.capacity.cause import PhaseTimes, component_of, growths
from kfp_perf.studies.capacity.guard import CliffGuard
from kfp_perf.studies.capacity.plateau import PlannedPlateau, Plateau, growth_of
from kfp_perf.studies.capacity.search import SearchLimits, next_step

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from kfp_emulator.cluster.nodes import Report
    from kfp_emulator.cluster.timing import Profile
    from kfp_perf.result.capacity import Component
    from kfp_perf.studies.capacity.search import SearchEnd

START = 1_790_000_000 * SECOND
PHASES = ("create", "queue", "driver", "execute", "transition", "finish", "visible")
LOOK_SECONDS = 1.0
LONGEST_DRAIN_SECONDS = 3600.0
PIPELINE = {
    "pipelineInfo": {"name": "one-task"},
    "schemaVersion": "2.1.0",
    "root": {
        "dag": {
            "tasks": {
                "work": {
                    "taskInfo": {"name": "work"},
                    "componentRef": {"name": "comp-work"},
                    "cachingOptions": {},
                }
            }
        }
    },
    "components": {"comp-work": {"executorLabel": "exec-work"}},
    "deploymentSpec": {
        "executors": {"exec-work": {"container": {"image": "python:3.11", "command": ["true"]}}}
    },
}


@dataclass(frozen=True)
class Seen:
    """What became of the runs of a plateau; times in seconds from its start, infinite where it did not happen."""

    due: NDArray[np.float64]
    visible: NDArray[np.float64]
    phases: dict[str, NDArray[np.float64]]
    load_end: float
    seconds: float
    stopped: str


class Runs:
    """Runs on an idle cluster, evenly spaced; `left` counts those whose end is visible."""

    def __init__(self, profile: Profile, rate: float, seconds: float, seed: int) -> None:
        self.clock = ManualClock(START)
        self.due = np.arange(int(np.ceil(rate * seconds - 1e-9))) / rate
        self.visible = np.full(self.due.size, np.inf)
        self.phases = {name: np.full(self.due.size, np.nan) for name in PHASES}
        self.started = self.left = 0
        self.cluster = Cluster(profile, self.clock, self._on_report, seed=seed)
        self.on_end: Callable[[int], None] = lambda _number: None
        self._pipeline = parse_pipeline([PIPELINE])

    def advance(self, to: float) -> None:
        while self.started < self.due.size and self.due[self.started] < to:
            moment = START + round(float(self.due[self.started]) * SECOND)
            self.clock.call_at(moment, partial(self._create, self.started))
            self.started += 1
        self.clock.advance_to(START + round(to * SECOND))

    def _elapsed(self) -> float:
        return (self.clock.now() - START) / SECOND

    def _create(self, number: int) -> None:
        self.clock.call_at(self.clock.now() + self.cluster.create_delay(), partial(self._submit, number))

    def _submit(self, number: int) -> None:
        self.phases["create"][number] = self._elapsed() - self.due[number]
        name = str(number)
        self.cluster.submit(RunRequest(name, name, self._pipeline, {}, created_at=self.clock.now()))

    def _on_report(self, report: Report) -> None:
        if report.finished_at is not None:
            number = int(report.run_id)
            self.visible[number] = self._elapsed()
            self.left += 1
            for name, seconds in phases_of(report, float(self.visible[number])).items():
                self.phases[name][number] = seconds
            self.on_end(number)


def run_plateau(
    profile: Profile,
    rate: float,
    seconds: float,
    *,
    seed: int,
    guard: Callable[[float, int, int], str] | None = None,
    drain: bool = True,
) -> Seen:
    """Start runs at `rate` a second, evenly spaced, on an idle cluster, and follow them until all are visible.

    `guard` gets elapsed seconds, runs due and runs that left, every second; the load ends when it returns a reason.
    """
    runs = Runs(profile, rate, seconds, seed)
    load_end, stopped = 0.0, ""
    while load_end < seconds and not stopped:
        load_end = min(load_end + LOOK_SECONDS, seconds)
        runs.advance(load_end)
        if guard is not None and load_end < seconds:
            stopped = guard(load_end, runs.started, runs.left)
    kept = slice(0, runs.started)
    due, at = runs.due[kept], load_end
    runs.due = due  # no more of them
    while drain and runs.left < due.size and at < load_end + LONGEST_DRAIN_SECONDS:
        at += 10.0
        runs.advance(at)
    phases = {name: one[kept] for name, one in runs.phases.items()}
    return Seen(due, runs.visible[kept], phases, load_end, at, stopped)


def phases_of(report: Report, visible: float) -> dict[str, float]:
    """The phases of a run of one task as a client computes them from the whole seconds that the server shows."""

    def second(at: int) -> float:
        return (at - START) // SECOND

    pods = sorted(
        (second(node.started_at), second(node.finished_at), node.display_name)
        for node in report.nodes
        if node.pod_name and node.started_at is not None and node.finished_at is not None
    )
    spans = {
        kind: sum(end - begin for begin, end, name in pods if name.endswith("driver") == (kind == "driver"))
        for kind in ("driver", "execute")
    }
    end = max(end for _, end, _ in pods)
    finished = second(report.finished_at or 0)
    return {
        "queue": pods[0][0] - second(report.created_at),
        **spans,
        "transition": end - pods[0][0] - sum(spans.values()),
        "finish": finished - end,
        "visible": np.ceil(visible) - finished,
    }


def times_of(seen: Seen) -> PhaseTimes:
    """The phases of a plateau up to the end of its load, as a search gets them."""
    # Runs in flight when a plateau is stopped are terminated.
    ended = np.ceil(seen.visible) <= (seen.load_end if seen.stopped else np.inf)
    return PhaseTimes(
        seen.due, {name: np.where(ended, one, np.nan) for name, one in seen.phases.items()}, ended
    )


def measure(profile: Profile, step: PlannedPlateau, *, seed: int) -> tuple[Plateau, Seen]:
    """Measure a plateau of a search, seen by a client that looks every second."""
    seen = run_plateau(profile, step.rate, step.load_seconds, seed=seed, guard=CliffGuard(step).look)
    left = np.ceil(seen.visible)
    flow = Flow.of_times(seen.due, left, begin=0.0, end=seen.load_end)
    waits = np.sort(left - seen.due)
    p90 = float(waits[max(0, int(np.ceil(0.9 * waits.size)) - 1)]) if waits.size else np.inf
    plateau = Plateau(
        step,
        growth_of(flow, step, seen.load_end),
        p90 if np.isfinite(p90) else None,
        seen.seconds,
        stopped=seen.stopped,
    )
    return plateau, seen


@dataclass(frozen=True)
class KnownCluster:
    """A cluster, and its limits in runs a second by formula, for each component that could limit it."""

    profile: Profile
    limits: dict[str, float]

    @property
    def bottleneck(self) -> str:
        """The component with the lowest limit."""
        return min(self.limits, key=self.limits.__getitem__)

    @property
    def capacity(self) -> float:
        """The lowest limit."""
        return min(self.limits.values())


COMPONENTS = ("pods", "throttle", "workers", "reporter")
GIVES_WAY = {"pods": "pods", "throttle": "api server", "workers": "controller", "reporter": "agent"}
"""What a search calls each of them."""
PODS_PER_RUN = 3
"""Of a run of one task: the root's driver, the task's driver, and its executor."""
CALLS_PER_RUN = 3
"""Of the API server's throttled client: one for the creation, two for the final report."""
PASSES_PER_RUN = 4.56
"""Counted at half of the capacity: start and end of a pod are seldom in one pass."""
SHARE_OF_A_REPORT = 0.006
"""Of the agent's time for the last report of a run, what any report takes; the rest are the last one's calls.

A run has 4.56 reports at light load. Changes of a run whose report waits are in that report, so the longer the
agent's queue, the fewer they are, down to the last one alone: at that rate its queue stops growing. The formula
counts that one. The others make a plateau that ends before the queue is long enough see up to 2.1 % less.
"""
PULL = {"lognormal": {"median": 5, "p99": 30}}


def random_cluster(seed: int, component: str = "") -> KnownCluster:
    """A cluster of 20 to 200 runs a minute whose second limit is at least 20 % higher than the first."""
    random = np.random.default_rng([seed, 14])

    def log_uniform(low: float, high: float) -> float:
        return float(np.exp(random.uniform(np.log(low), np.log(high))))

    def lognormal(mean: float, ratio: float) -> dict[str, Any]:
        """A duration by its mean, and by its 99 % quantile over its median."""
        sigma = np.log(ratio) / 2.3263478740408408
        median = mean / float(np.exp(sigma**2 / 2))
        return {"lognormal": {"median": median, "p99": median * ratio}}

    capacity = log_uniform(20.0, 200.0) / 60.0
    first = component or COMPONENTS[random.integers(len(COMPONENTS))]
    limits = {
        # How many passes a run takes depends on the load, so that the limit of the workers is known to some 10 %.
        name: capacity
        * (1 if name == first else log_uniform(1.35 if "workers" in {name, first} else 1.2, 4.0))
        for name in COMPONENTS
    }
    startup, driver, executor = log_uniform(1.0, 4.0), log_uniform(0.5, 2.0), log_uniform(4.0, 60.0)
    pod_seconds = PODS_PER_RUN * (0.1 + startup) + 2 * driver + executor
    places = max(1, round(limits["pods"] * pod_seconds))
    nodes = next(number for number in (10, 8, 5, 4, 3, 2, 1) if places % number == 0)
    limits["pods"] = places / pod_seconds
    workers, reporters = int(random.integers(2, 33)), int(random.integers(1, 5))
    final = reporters / limits["reporter"]
    document = {
        **json.loads((PROFILES / "kfp-2.17.json").read_text("utf-8")),
        "kubernetes_calls_per_second": CALLS_PER_RUN * limits["throttle"],
        "controller_workers": workers,
        "controller_pass_seconds": lognormal(
            workers / (PASSES_PER_RUN * limits["workers"]), log_uniform(2.0, 7.0)
        ),
        "controller_calls_per_second": 0,
        "nodes": nodes,
        "pods_per_node": places // nodes,
        "image_pull_seconds": PULL,
        "scheduling_seconds": 0.1,
        "startup_seconds": lognormal(startup, 2.0),
        "driver_seconds": lognormal(driver, 3.0),
        "executor_seconds": lognormal(executor, log_uniform(1.5, 5.0)),
        "report_workers": reporters,
        "create_seconds": (1 - SHARE_OF_A_REPORT) * final / (CALLS_PER_RUN - 1),
        "report_seconds": 0.4 * SHARE_OF_A_REPORT * final,
        "report_tasks_seconds": 0.6 * SHARE_OF_A_REPORT * final,
    }
    return KnownCluster(parse_profile(f"random-{seed}", document), limits)


def true_capacity(cluster: KnownCluster, *, runs: int = 4000, seed: int = 1_000_000) -> float:
    """The highest rate at which nothing piles up, by long runs in a bisection to 0.5 %.

    A formula that is off by more than a few percent shows as a truth at the end of the range.
    """
    below, above = (0.85, 1.2) if cluster.bottleneck == "workers" else (0.95, 1.05)
    low, high = below * cluster.capacity, above * cluster.capacity
    while high > 1.005 * low:
        rate = float(np.sqrt(low * high))
        seen = run_plateau(cluster.profile, rate, runs / rate + 300.0, seed=seed, drain=False)
        flow = Flow.of_times(seen.due, seen.visible, begin=0.0, end=seen.load_end)
        slope = plateau_growth(flow, 300.0, seen.load_end)
        if slope is not None and slope.exceeds(0.003):
            high = rate
        else:
            low = rate
        seed += 1
    return float(np.sqrt(low * high))


def search(
    cluster: KnownCluster, limits: SearchLimits, *, seed: int
) -> tuple[list[Plateau], SearchEnd, Component]:
    """Search the capacity of a cluster: the plateaus, how the search ended, and what gave way."""
    done: list[Plateau] = []
    times: list[PhaseTimes] = []
    while isinstance(planned := next_step(limits, done), PlannedPlateau):
        plateau, seen = measure(cluster.profile, planned, seed=100 * seed + len(done))
        done.append(plateau)
        times.append(times_of(seen))
    failed = [place for place, one in enumerate(done) if not one.kept_up]
    if not failed:
        return done, planned, "unknown"
    lowest = min(failed, key=lambda place: done[place].rate)
    return done, planned, component_of(growths(times[0], times[lowest]))


def first_rate(cluster: KnownCluster, seed: int) -> float:
    """A light load: an eighth of what a user may have put into the file, a quarter to twice the capacity."""
    random = np.random.default_rng([seed, 5])
    return cluster.capacity * float(np.exp(random.uniform(np.log(1 / 32), np.log(1 / 4))))
