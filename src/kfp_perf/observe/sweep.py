"""One walk over the pages of runs that are in flight, which ends whatever the server answers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from kfp_perf.client.messages import ACTIVE_STATES
from kfp_perf.client.query import MAXIMUM_PAGE_SIZE, ListQuery, Operator, Predicate
from kfp_perf.observe.pace import Pace, pages_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from collections.abc import Set as AbstractSet

    from kfp_perf.client import KfpClient
    from kfp_perf.client.messages import Run
    from kfp_perf.observe.report import ObserverReport
    from kfp_perf.pacing import Clock

_ACTIVE = Predicate("state", Operator.IN, tuple(sorted(ACTIVE_STATES)))


class Sighting(NamedTuple):
    """A run as a page showed it, and when that page was asked for and had come."""

    run: Run
    asked: float
    came: float


def most_pages(wanted: int) -> int:
    """After how many pages a sweep for so many runs gives up: other people's runs may be among them."""
    return 8 + 4 * pages_of(wanted)


async def sweep(
    client: KfpClient,
    clock: Clock,
    pace: Pace,
    report: ObserverReport,
    wanted: AbstractSet[str],
    *,
    namespace: str,
    experiment_id: str,
    created: Iterable[float | None],
) -> AsyncIterator[Sighting]:
    """Yield the runs in flight, oldest first, until those wanted (ids) were all seen or the pages end.

    `created` are the creation times of those wanted, on the server's clock, as far as they are known. Raises
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
        came = clock.now()
        report.pages += 1
        pace.page_took(came - asked)
        for run in page.items:
            missing.discard(run.run_id)
            yield Sighting(run, asked, came)
        token = page.next_page_token
        if not token or not missing:
            pace.swept(number, len(wanted))
            return
        if token in tokens:
            report.odd("page_token_repeated", "a list of runs gives the same page token twice")
            return
        tokens.add(token)
        query = query.next(token)
    pace.swept(most_pages(len(wanted)), len(wanted))
    report.odd("list_without_end", "a list of runs in flight goes on for many more pages than it should")
