"""Requests for lists of runs: the pages that show the runs in flight, and searches by name."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, NamedTuple

from kfp_perf.client.messages import ACTIVE_STATES
from kfp_perf.client.protocol import MAXIMUM_PAGE_SIZE, ListQuery, Operator, Predicate
from kfp_perf.errors import ApiAnswerError, ApiError
from kfp_perf.observe.poll_policy import PollPolicy, pages_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from kfp_perf.client import KfpClient
    from kfp_perf.client.messages import Run
    from kfp_perf.observe.report import ObserverReport
    from kfp_perf.observe.tracked import TrackedRun
    from kfp_perf.pacing import Clock

_log = logging.getLogger(__name__)

#: How long a run whose creation got no answer is looked for by its name.
ADOPTION_SECONDS = 60.0
_NAMES_PER_LOOKUP = 50
_LONGEST_PAUSE_SECONDS = 10.0
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


class NameLookup:
    """Searches for runs by their unique names. After failures only the search pauses, not other requests."""

    def __init__(
        self,
        client: KfpClient,
        clock: Clock,
        report: ObserverReport,
        *,
        namespace: str,
        experiment_id: str,
    ) -> None:
        self._client = client
        self._clock = clock
        self._report = report
        self._namespace = "" if experiment_id else namespace
        self._experiment_id = experiment_id
        self._pause_seconds = 0.5
        self._paused_until = 0.0

    async def look(self, tracked: Sequence[TrackedRun]) -> list[TrackedRun]:
        """Search once for runs without an id, and set the ids of those found; return those that are given up.

        A run is given up after `ADOPTION_SECONDS`, but not while the server cannot be reached.
        """
        if self._clock.now() < self._paused_until:
            return []
        given_up: list[TrackedRun] = []
        failed = False
        for start in range(0, len(tracked), _NAMES_PER_LOOKUP):
            part = {each.name: each for each in tracked[start : start + _NAMES_PER_LOOKUP]}
            try:
                await self._adopt(part)
            except ApiError as error:
                failed = True
                self._report.failures += 1
                _log.debug("Looking for runs by name failed: %s", error)
                if not is_of_the_request(error):
                    continue
                kind = f"lookup_failed:{error.kind}"
                self._report.count_anomaly(kind, f"runs cannot be looked for by name: {error}")
            now = self._clock.now()
            given_up += [each for each in part.values() if now - each.followed_since > ADOPTION_SECONDS]
        self._pause_seconds = min(2 * self._pause_seconds, _LONGEST_PAUSE_SECONDS) if failed else 0.5
        self._paused_until = self._clock.now() + self._pause_seconds if failed else 0.0
        return given_up

    async def _adopt(self, wanted: dict[str, TrackedRun]) -> None:
        """Set the ids of the runs that the server shows under these names, and remove them from the dictionary."""
        query = ListQuery(
            namespace=self._namespace,
            experiment_id=self._experiment_id,
            page_size=MAXIMUM_PAGE_SIZE,
            filter=(Predicate("name", Operator.IN, tuple(wanted)),),
        )
        self._report.lookups += 1
        page = await self._client.list_runs(query)
        for run in page.items:
            found = wanted.pop(run.display_name, None)
            if found is not None:
                self._report.adopted += 1
                found.run_id, found.adopted = run.run_id, True
                found.created_at = run.created_at
