"""The evidence of a result as values, by the names that thresholds call them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from kfp_perf.metrics import OF_THE_TEST
from kfp_perf.metrics.metric import Unit, fewest_values
from kfp_perf.metrics.registry import built_in
from kfp_perf.reports.cluster_signs import CLUSTER_SIGNS
from kfp_perf.reports.document import dig
from kfp_perf.reports.quantities import between_of, count_of, rate_of, seconds_of, share_of
from kfp_perf.statistics.quantiles import FINE_QUANTILES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class EvidenceValue(NamedTuple):
    """One value; `between` are the bounds between which it lies, where no more is known of it."""

    name: str
    unit: Unit
    value: float | None
    between: tuple[float, float | None] | None


def evidence_values(total: Mapping[str, Any]) -> Iterator[EvidenceValue]:
    """Yield every value of the families that only the whole test has, from its metrics dictionary."""
    registry = built_in()
    for metric in registry.metrics:
        if metric.path[0] not in OF_THE_TEST:
            continue
        for statistic in metric.statistics or ("",):
            named = registry.find(f"{metric.name}.{statistic}" if statistic else metric.name)
            for one in named.expanded(total) if named else ():
                value, between = one.value_in(total), one.between_in(total)
                if between is not None:
                    yield EvidenceValue(one.name, metric.unit, value, (between[0], value))
                elif value is not None:
                    yield EvidenceValue(one.name, metric.unit, value, None)


def bucketed_cell(distribution: Any, statistic: str) -> str:
    """A quantile from buckets as its bounds; a dash where there is none, or it is one of too few values."""
    ends, count = dig(distribution, "between", statistic), dig(distribution, "n")
    if not isinstance(ends, list) or not isinstance(count, int):
        return "–"
    if count < fewest_values(FINE_QUANTILES[statistic]):
        return "–"
    return between_of(ends[0], ends[1], Unit.SECONDS)


#: The defaults of Argo's controller, see `tuning`.
_CONTROLLER_REQUESTS_A_SECOND = 20.0
_NEARLY = 0.9
#: Less is no bottleneck.
_WAITS_SECONDS = 0.1


def signs(total: Mapping[str, Any]) -> list[str]:
    """What the evidence shows of the bottleneck, a sentence each, from the metrics of the whole test."""
    return [text for sign in _SIGNS if (text := sign(total))]


def _restarts(total: Mapping[str, Any]) -> str:
    count = dig(total, "server", "restarts") or 0
    return f"The API server restarted {count_of(count, 'time')} during the test." if count else ""


def _workers(total: Mapping[str, Any]) -> str:
    queue = dig(total, "controller", "queues", "workflow_queue")
    waiting, busy = dig(queue, "depth", "mean"), dig(queue, "busy_workers", "mean")
    if waiting is None or busy is None:
        return ""
    most = dig(queue, "busy_workers", "max")
    if waiting < 1.0 or busy < _NEARLY * most:
        return ""
    return (
        f"The workers of Argo's controller were busy, {rate_of(busy)} of them on average and at most "
        f"{rate_of(most)}, while {rate_of(waiting)} workflows waited for one (--workflow-workers)."
    )


def _controller_requests(total: Mapping[str, Any]) -> str:
    rate = dig(total, "controller", "kubernetes_requests_per_second")
    if rate is None or not _NEARLY <= rate / _CONTROLLER_REQUESTS_A_SECOND <= 1 / _NEARLY:
        return ""
    return (
        f"Argo's controller made {rate_of(rate)} requests a second to the Kubernetes API, about as many as its "
        f"client allows by default, which is {_CONTROLLER_REQUESTS_A_SECOND:g} (--qps)."
    )


def _client_limiter(total: Mapping[str, Any]) -> str:
    mean = dig(total, "controller", "client_limiter_seconds", "mean")
    if mean is None or mean < _WAITS_SECONDS:
        return ""
    return (
        f"Requests of Argo's controller to the Kubernetes API waited {seconds_of(mean)} on average for the limit "
        "of its own client (--qps, --burst)."
    )


def _open_files(total: Mapping[str, Any]) -> str:
    share = dig(total, "server", "open_files_share")
    if share is None or share < _NEARLY:
        return ""
    return f"The API server had {share_of(share)} of the open files that it may have."


_SIGNS = (_restarts, _workers, _controller_requests, _client_limiter, _open_files, *CLUSTER_SIGNS)
