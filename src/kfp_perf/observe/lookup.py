"""Looking for runs by name whose creation got no answer."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from kfp_perf.client.query import MAXIMUM_PAGE_SIZE, ListQuery, Operator, Predicate
from kfp_perf.errors import ApiError
from kfp_perf.observe.sweep import is_of_the_request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kfp_perf.client import KfpClient
    from kfp_perf.observe.report import ObserverReport
    from kfp_perf.observe.tracked import TrackedRun
    from kfp_perf.pacing import Clock

_log = logging.getLogger(__name__)

ADOPTION_SECONDS = 60.0
"""How long a run whose creation got no answer is looked for by its name."""

_NAMES_PER_LOOKUP = 50
_LONGEST_PAUSE_SECONDS = 10.0


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
