"""How it changed over the test."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from kfp_perf.reports.buckets import Buckets
from kfp_perf.reports.charts import (
    Line,
    Marks,
    clock_axis,
    count_axis,
    log_seconds_axis,
    seconds_axis,
    xy_chart,
)
from kfp_perf.reports.operations import PURPOSES
from kfp_perf.reports.quantities import clock_of, rate_of, seconds_of, span_of
from kfp_perf.reports.story.blocks import Block, Figure, Section
from kfp_perf.reports.story.report_data import letter_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kfp_perf.reports.charts import Chart
    from kfp_perf.reports.story.report_data import Material

#: Into how many stretches the time of a test is cut at most for rates of runs.
_MOST_STRETCHES = 48


def course(material: Material) -> Section | None:
    """Throughput, durations, requests, latencies and errors, over the time of the test."""
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
    # So wide that many runs fall into each, and several looks at the runs in flight, which see ends in bursts.
    buckets = Buckets(
        material.started, material.seconds, most=min(_MOST_STRETCHES, max(8, len(runs.created) // 15))
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
            moments=material.moments,
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
    yield from _dots(material)


#: The dots of the chart of durations: what they are, the attribute of the runs, and the shape.
_DOTS = (
    ("succeeded", "succeeded", "dot"),
    ("from the cache", "cached", "ring"),
    ("failed", "failed", "cross"),
    ("still in flight", "without_end", "up"),
)


def _dots(material: Material) -> Iterable[tuple[Chart, str]]:
    several = sum(1 for one in material.scenarios if one["name"] in material.runs.scenarios) > 1
    layers = []
    counts: Counter[str] = Counter()
    for place, one in enumerate(material.scenarios):
        runs = material.runs.scenarios.get(one["name"])
        for style, (name, attribute, shape) in enumerate(_DOTS):
            points = getattr(runs, attribute, ())
            if points:
                counts[name] += len(points)
                title = f"{letter_of(place)} {name}" if several else name
                dots = [(over - material.started, seconds) for over, seconds in points]
                layers.append(Marks(title, dots, shape, place if several else style))
    if not layers:
        return
    longest = max(seconds for layer in layers for _, seconds in layer.points)
    totals = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    yield (
        xy_chart(
            "run-durations",
            "Duration of each run, when it was over",
            f"{totals}; the longest was followed for {seconds_of(longest)}.",
            clock_axis(material.seconds),
            seconds_axis(longest * 1.05, "duration, from creation to finish"),
            layers,
            bands=material.bands,
            moments=material.moments,
            height=240,
        ),
        "A run that had not ended stands where it was last looked at, with the time since its creation."
        if counts["still in flight"]
        else "",
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
            moments=material.moments,
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
