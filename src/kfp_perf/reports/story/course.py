"""How it changed over the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kfp_perf.reports.buckets import MOST_BUCKETS, Buckets
from kfp_perf.reports.charts import (
    Line,
    Marks,
    clock_axis,
    count_axis,
    log_seconds_axis,
    seconds_axis,
    stepped,
    xy_chart,
)
from kfp_perf.reports.operations import PURPOSES
from kfp_perf.reports.quantities import clock_of, count_of, rate_of, seconds_of, span_of
from kfp_perf.reports.story.blocks import Block, Figure, Section

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kfp_perf.reports.charts import Chart
    from kfp_perf.reports.story.report_data import Material


def course(material: Material) -> Section | None:
    """Throughput, runs in flight, durations, requests, latencies and errors, over the time of the test."""
    charts = [
        *_runs(material),
        *_requests(material),
    ]
    if not charts:
        return None
    lead = "The bands behind are the scenarios, by their letters."
    return Section("course", "How did it change over the test?", lead, _figures(charts))


def _figures(charts: Iterable[tuple[Chart, str]]) -> list[Block]:
    return [Figure(chart, note) for chart, note in charts]


def _runs(material: Material) -> Iterable[tuple[Chart, str]]:
    runs = material.runs
    if not runs.created:
        return
    # So wide that some runs fall into each: else rates jump between none and one in a second.
    buckets = Buckets(
        material.started, material.seconds, most=min(MOST_BUCKETS, max(8, len(runs.created) // 4))
    )
    started = buckets.per(buckets.counts(runs.created), 60.0)
    ended = buckets.per(buckets.counts(runs.over), 60.0)
    top = max(rate or 0.0 for _, rate in [*started, *ended])
    yield (
        xy_chart(
            "throughput",
            "Runs started and ended",
            f"At most {rate_of(max(rate or 0.0 for _, rate in ended))} runs a minute ended.",
            clock_axis(material.seconds),
            count_axis(top, "runs a minute"),
            [Line("started", started, 1), Line("ended", ended, 0)],
            bands=material.bands,
            hints=[
                (
                    at - buckets.width / 2,
                    at + buckets.width / 2,
                    f"{clock_of(at)}: {rate_of(begun)} started, {rate_of(done)} ended a minute",
                )
                for (at, begun), (_, done) in zip(started, ended, strict=True)
            ],
        ),
        f"Each point stands for {span_of(buckets.width)}.",
    )
    flight = _in_flight(material)
    most = max(count for _, count in flight)
    yield (
        xy_chart(
            "in-flight",
            "Runs in flight",
            f"At most {count_of(int(most), 'run')} at the same time.",
            clock_axis(material.seconds),
            count_axis(most, "runs"),
            [Line("in flight", stepped(flight), 0)],
            bands=material.bands,
        ),
        "From a run's creation until a client could see that it was over"
        + (", or it was given up at the end." if runs.given_up else "."),
    )
    yield from _dots(material)


def _in_flight(material: Material) -> list[tuple[float, float]]:
    """The number of runs in flight: at each change, or where there are many, the most in each stretch."""
    runs = material.runs
    left = np.concatenate([np.array(runs.over), np.array(runs.given_up)])
    times = np.concatenate([np.array(runs.created), left]) - material.started
    steps = np.concatenate([np.ones(len(runs.created)), -np.ones(len(left))])
    order = np.argsort(times, kind="stable")
    times, level = times[order], np.cumsum(steps[order])
    points = list(zip(map(float, times), map(float, level), strict=True))
    if len(points) > 1000:
        width = material.seconds / 480
        most: dict[int, float] = {}
        last = 0.0
        for time, value in points:
            place = int(time / width)
            most[place] = max(most.get(place, last), value)
            last = value
        points = [(place * width, value) for place, value in sorted(most.items())]
    end = points[-1][1]
    return [(0.0, 0.0), *points, (material.seconds, end)]


def _dots(material: Material) -> Iterable[tuple[Chart, str]]:
    runs = material.runs
    kinds = [
        ("succeeded", runs.succeeded, "dot", 0),
        ("from the cache", runs.cached, "ring", 2),
        ("failed", runs.failed, "cross", 1),
        ("still in flight", runs.unfinished, "up", 3),
    ]
    layers = [
        Marks(name, [(over - material.started, seconds) for over, seconds in points], shape, style)
        for name, points, shape, style in kinds
        if points
    ]
    if not layers:
        return
    longest = max(seconds for layer in layers for _, seconds in layer.points)
    told = ", ".join(f"{len(layer.points):,} {layer.name}" for layer in layers)
    yield (
        xy_chart(
            "run-durations",
            "Duration of each run, when it was over",
            f"{told}; the longest took {seconds_of(longest)}.",
            clock_axis(material.seconds),
            seconds_axis(longest * 1.05, "duration, from creation to finish"),
            layers,
            bands=material.bands,
            height=240,
        ),
        "",
    )


def _requests(material: Material) -> Iterable[tuple[Chart, str]]:
    api = material.course
    buckets = api.buckets
    rates = {
        PURPOSES[purpose]: buckets.per(counts, 1.0)
        for purpose in ("load", "observe")
        if (counts := api.counts(purpose)).any()
    }
    if not rates:
        return
    top = max(rate or 0.0 for points in rates.values() for _, rate in points)
    yield (
        xy_chart(
            "requests",
            "Requests to the API",
            "; ".join(
                f"{name}: at most {rate_of(max(rate or 0.0 for _, rate in points))} a second"
                for name, points in rates.items()
            ),
            clock_axis(material.seconds),
            count_axis(top, "requests a second"),
            [Line(name, points, style) for style, (name, points) in enumerate(rates.items())],
            bands=material.bands,
        ),
        f"Each point stands for {span_of(buckets.width)}.",
    )
    yield from _latency(material)
    failed = api.failed
    if failed.any():
        errors = buckets.per(failed, 1.0)
        yield (
            xy_chart(
                "errors",
                "Requests that failed",
                f"{int(failed.sum()):,} in all.",
                clock_axis(material.seconds),
                count_axis(max(rate or 0.0 for _, rate in errors), "failed requests a second"),
                [Line("failed", errors, 6)],
                bands=material.bands,
                height=150,
            ),
            "",
        )


def _latency(material: Material) -> Iterable[tuple[Chart, str]]:
    load, buckets = material.course.load, material.course.buckets
    half, most = load.quantiles(0.5), load.quantiles(0.99)
    known = [value for value in [*half, *most] if value is not None]
    if not known:
        return
    places = [buckets.middle(place) for place in range(buckets.count)]
    yield (
        xy_chart(
            "latency",
            "Latency of the load's requests",
            f"Between {seconds_of(min(known))} and {seconds_of(max(known))}.",
            clock_axis(material.seconds),
            log_seconds_axis(min(known), max(known), "latency, from when a request was due (logarithmic)"),
            [
                Line("p99", list(zip(places, most, strict=True)), 1),
                Line("median", list(zip(places, half, strict=True)), 0),
            ],
            bands=material.bands,
            hints=[
                (
                    at - buckets.width / 2,
                    at + buckets.width / 2,
                    f"{clock_of(at)}: median {seconds_of(low)}, p99 {seconds_of(high)}",
                )
                for at, low, high in zip(places, half, most, strict=True)
                if low is not None
            ],
        ),
        "Where a stretch holds fewer than 100 requests, its p99 is its longest. Requests that failed are left out.",
    )
