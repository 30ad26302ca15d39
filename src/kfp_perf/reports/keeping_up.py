"""Whether the server kept up with a scenario's load, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from kfp_perf.reports.document import dig
from kfp_perf.reports.quantities import clock_of, rate_of
from kfp_perf.result.timestamps import epoch_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: The share of runs that succeeded below which a verdict is not shown as a good one, whatever the thresholds.
_FEW = 0.95
#: From which rate on decimals are not given.
_WHOLE = 10.0


class KeepingUp(NamedTuple):
    """What is known of a scenario with an open load.

    `behind` is None where that is not known. `since` is in seconds since the Unix epoch, where it is known.
    """

    scenario: str
    behind: bool | None
    since: float | None
    text: str


def keeping_up(document: Mapping[str, Any]) -> Iterator[KeepingUp]:
    """Yield it for each scenario with an open load that was to start runs; closed loads wait for the server."""
    started = epoch_of(document.get("started"))
    for one in document["scenarios"]:
        load = dig(one, "metrics", "load")
        if isinstance(load, dict) and "fell_behind" in load:
            yield _of(str(one["name"]), load, started)


def _of(scenario: str, load: Mapping[str, Any], started: float | None) -> KeepingUp:
    fell_behind, since = load["fell_behind"], load.get("behind_since")
    if fell_behind is None:
        text = (
            f"it is not known whether the server fell behind: {load.get('fell_behind_reason') or 'unknown'}"
        )
        return KeepingUp(scenario, None, None, text)
    offered, completed = (
        (load.get(key) or 0.0) * 60.0 for key in ("offered_per_second", "completed_per_second")
    )
    rates = f"about {_about(offered)} runs a minute were due, and {_about(completed)} completed"
    if not fell_behind:
        return KeepingUp(scenario, False, None, f"the server kept up: {rates}")
    if not isinstance(since, (int, float)) or started is None:
        return KeepingUp(scenario, True, None, f"the server was behind at the end of the load: {rates}")
    return KeepingUp(
        scenario, True, since, f"the server was behind since {clock_of(since - started)}: {rates}"
    )


def _about(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= _WHOLE else rate_of(rate)


def went_badly(document: Mapping[str, Any]) -> bool:
    """Whether a test that kept its thresholds went badly all the same, as they were lifted or low."""
    rate = dig(document, "total", "runs", "success_rate")
    few = isinstance(rate, (int, float)) and rate < _FEW
    return few or any(one.behind for one in keeping_up(document))


def is_closed(scenario: Mapping[str, Any]) -> bool:
    """Whether a scenario's load was closed: slots that wait for the server."""
    return bool(dig(scenario, "metrics", "load", "slot_seconds"))
