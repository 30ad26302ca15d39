"""The server's own handling time beside what this client measured, for each operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_perf.reports.document import dig
from kfp_perf.reports.evidence import bucketed_cell
from kfp_perf.reports.quantities import seconds_of
from kfp_perf.reports.story.blocks import Block, Cell, Column, Prose, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kfp_perf.reports.story.report_data import Material

#: The purposes of the measured time; set-up and clean-up are not in it.
_MEASURED = ("load", "observe")
_NOTE = (
    "Service is the time of single attempts of the load and of following runs, from the headers written to the "
    "answer whole. The server counts the calls of all clients then, and the gateway before its gRPC methods "
    "is not part of its time: the difference of the means is network, proxies and gateway where the numbers are "
    "about the same. Its quantiles come from buckets."
)


def server_time(material: Material) -> Iterator[Block]:
    """A table of service and handling times; nothing where the server's metrics were not collected."""
    methods = dig(material.total, "server", "methods")
    rows = [
        row
        for name, figures in (methods.items() if isinstance(methods, dict) else ())
        if (row := _row(material, name, figures)) is not None
    ]
    if not rows:
        return
    columns = [
        Column("Operation", is_number=False),
        *(
            Column(title)
            for title in ("Attempts", "Service mean", "Handled", "Server mean", "Outside the server")
        ),
        *(Column(title) for title in ("Server p50", "Server p95", "Server p99")),
    ]
    yield Table("How much of it was the server", columns, rows)
    yield Prose(_NOTE)


def _row(material: Material, name: str, figures: Any) -> list[Cell] | None:
    """The row of an operation that this client called; None for any other."""
    service = [dig(material.total, "api", purpose, name, "service_seconds") for purpose in _MEASURED]
    known = [one for one in service if isinstance(one, dict) and one.get("n") and one.get("mean") is not None]
    count = sum(one["n"] for one in known)
    if not count:
        return None
    mean = sum(one["mean"] * one["n"] for one in known) / count
    handling = dig(figures, "handling_seconds") or {}
    inside = handling.get("mean")
    return [
        name,
        f"{count:,}",
        seconds_of(mean),
        f"{handling.get('n', 0):,}",
        seconds_of(inside),
        "–" if inside is None else seconds_of(max(0.0, mean - inside)),
        *(bucketed_cell(handling, share) for share in ("p50", "p95", "p99")),
    ]
