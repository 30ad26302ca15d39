"""One pass over the pages of ListRuns that show the runs in flight; it ends for any answers of the server."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from kfp_perf.client.messages import ACTIVE_STATES
from kfp_perf.client.query import MAXIMUM_PAGE_SIZE, ListQuery, Operator, Predicate
from kfp_perf.errors import ApiAnswerError, ApiError
from kfp_perf.observe.poll_policy import PollPolicy, pages_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from collections.abc import Set as AbstractSet

    from kfp_perf.client import KfpClient
    from kfp_perf.client.messages import Run
    from kfp_perf.observe.report import ObserverReport
    from kfp_perf.pacing import Clock

# Failures of one answer, as of a run too large for the server to encode: other requests may still work.
_OWN_FAILURES = frozenset({400, 500, 501})
_ACTIVE = Predicate("state", Operator.IN, tuple(sorted(ACTIVE_STATES)))


class Sighting(NamedTuple):
    """A run as a page showed it, and when the request for that page was made and answered."""

    run: Run
    asked: float
    answered: float


def most_pages(wanted: int) -> int:
    """The number of pages after which a sweep for this many runs gives up: runs of others may be among them."""
    return 8 + 4 * pages_of(wanted)


def is_of_the_request(error: ApiError) -> bool:
    """Whether a failure is specific to the request, not to the server as a whole."""
    return isinstance(error, ApiAnswerError) or error.status in _OWN_FAILURES


async def sweep(
    client: KfpClient,
    clock: Clock,
    policy: PollPolicy,
    report: ObserverReport,
    wanted: AbstractSet[str],
    *,
    namespace: str,
    experiment_id: str,
    created: Iterable[float | None],
) -> AsyncIterator[Sighting]:
    """Yield the runs in flight, oldest first, until all those wanted (ids) were seen or the pages end.

    `created` holds the creation times of those wanted, on the server's clock; None where it is not known. Raises
    `ApiError`.
    """
    oldest = min((-math.inf if time is None else time for time in created), default=-math.inf)
    filters: tuple[Predicate, ...] = (_ACTIVE,)
    if oldest > -math.inf:
        filters += (Predicate("created_at", Operator.GREATER_THAN_EQUALS, oldest),)
    query = ListQuery(
        namespace="" if experiment_id else namespace,
        experiment_id=experiment_id,
        page_size=MAXIMUM_PAGE_SIZE,
        filter=filters,
    )
    missing = set(wanted)
    tokens: set[str] = set()
    report.sweeps += 1
    for number in range(1, 1 + most_pages(len(wanted))):
        asked = clock.now()
        page = await client.list_runs(query)
        answered = clock.now()
        report.pages += 1
        policy.page_took(answered - asked)
        for run in page.items:
            missing.discard(run.run_id)
            yield Sighting(run, asked, answered)
        token = page.next_page_token
        if not token or not missing:
            policy.swept(number, len(wanted))
            return
        if token in tokens:
            report.count_anomaly("page_token_repeated", "a list of runs gives the same page token twice")
            return
        tokens.add(token)
        query = query.next(token)
    policy.swept(most_pages(len(wanted)), len(wanted))
    report.count_anomaly("list_without_end", "a list of runs in flight has many more pages than it should")
