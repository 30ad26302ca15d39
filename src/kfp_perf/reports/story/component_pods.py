"""The pods of KFP's components: restarts, and CPU and memory against their limits, on the time axis of the test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_perf.metrics.components import read_histories
from kfp_perf.metrics.pods import pods_of_test
from kfp_perf.reports.document import dig
from kfp_perf.reports.quantities import count_of, rate_of, share_of, size_of
from kfp_perf.reports.story.blocks import (
    Block,
    Cell,
    Column,
    Flag,
    Prose,
    Table,
    Tone,
    count_cell,
    without_zeros,
)
from kfp_perf.reports.story.over_time import chart_over_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kfp_perf.metrics.components import ComponentHistory
    from kfp_perf.reports.story.report_data import Material

#: More lines cannot be distinguished.
_MOST_LINES = 5
#: From which share of a limit on a component is marked: Kubernetes ends a container that reaches that of memory.
_NEAR_LIMIT = 0.9
_MOST_MARKED = 3


def component_pods(material: Material) -> Iterator[Block]:
    """A row for each component, and what they used over the test; or why the cluster is left out."""
    found = _components(material)
    if not found:
        yield from _left_out(material)
        return
    if dig(material.total, "components", "modelled"):
        yield Prose(
            "CPU and memory in the table and charts below are a formula of the emulator, of its requests and "
            "reports. They say nothing about a cluster, and are the cause of nothing here."
        )
    columns = [
        Column("Component", is_number=False),
        *(Column(title) for title in ("Restarts", "Killed for memory", "Pods replaced")),
        *(Column(title) for title in ("CPU mean", "CPU max", "CPU asked for", "CPU max of its limit")),
        *(Column(title) for title in ("Memory max", "Memory limit", "Memory max of its limit")),
    ]
    caption = (
        "KFP's components by the Kubernetes API; use as metrics-server measures it every 15 s, CPU in cores"
    )
    rows = [_row(name, figures) for name, figures in found.items()]
    yield without_zeros(
        Table(caption, columns, rows),
        *(
            "Killed for memory",
            "Pods replaced",
            "CPU max of its limit",
            "Memory limit",
            "Memory max of its limit",
        ),
    )
    histories = read_histories(material.result.evidence)
    restarts = [(at, f"{name} restarted") for name, history in histories.items() for at in history.restarted][
        :_MOST_MARKED
    ]
    for key, title, unit, factor in _CHARTS:
        lines = _highest(histories, key, factor)
        yield from chart_over_time(material, key.replace("_", "-"), title, unit, lines, restarts)


_CHARTS = (
    ("cpu_cores", "CPU of the components that used most", "cores", 1.0),
    (
        "memory_share_of_limit",
        "Memory of the components that are nearest to their limit",
        "% of the limit",
        100.0,
    ),
)


def restarted_components(material: Material) -> list[str]:
    """The components of which containers were started again during the test."""
    return [name for name, figures in _components(material).items() if figures.get("restarts")]


def _components(material: Material) -> dict[str, dict[str, Any]]:
    found = dig(material.total, "components", "by_name")
    return (
        {name: one for name, one in found.items() if isinstance(one, dict)} if isinstance(found, dict) else {}
    )


def _row(name: str, figures: Mapping[str, Any]) -> list[Cell]:
    return [
        name,
        *(count_cell(figures.get(key) or 0, Tone.BAD) for key in ("restarts", "oom_kills", "replaced_pods")),
        rate_of(dig(figures, "cpu_cores", "mean")),
        rate_of(dig(figures, "cpu_cores", "max")),
        rate_of(figures.get("cpu_request")),
        _share(dig(figures, "cpu_share_of_limit", "max")),
        size_of(dig(figures, "memory_bytes", "max")),
        size_of(figures.get("memory_limit")),
        _share(dig(figures, "memory_share_of_limit", "max")),
    ]


def _share(share: float | None) -> Cell:
    text = share_of(None if share is None else round(share, 3))
    return Flag(text, Tone.WARNING) if share is not None and share >= _NEAR_LIMIT else text


def _highest(
    histories: Mapping[str, ComponentHistory], key: str, factor: float
) -> dict[str, list[tuple[float, float]]]:
    """The lines that reach highest."""
    lines = {
        name: [(at, value * factor) for at, value in history.points[key]]
        for name, history in histories.items()
        if history.points.get(key)
    }
    names = sorted(lines, key=lambda name: -max(value for _, value in lines[name]))[:_MOST_LINES]
    return {name: lines[name] for name in names}


def _left_out(material: Material) -> Iterator[Block]:
    """A note where a cluster was read that is not the target's."""
    found = pods_of_test(material.result.evidence, material.result.scenarios)
    if found.cluster is None or found.is_target:
        return
    if found.runs:
        why = f"no pod of the test's {count_of(found.runs, 'run')} appeared in it, so it is not the target's"
    else:
        why = "the test started no run whose pods would show that it is the target's"
    yield Prose(
        f"The cluster that was read is {found.cluster.title}, and {why}: what it shows is left out. "
        "KFP_PERF_KUBERNETES_CONTEXT names the right one."
    )
