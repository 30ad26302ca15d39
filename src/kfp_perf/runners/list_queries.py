"""List queries as KFP's user interface sends them: pages, orders and filters.

The sizes, sort keys and filters are those of its tables (CustomTable.tsx, RunList.tsx and similar, frontend of
kubeflow/pipelines 2.x). Later pages are reached in the same way: by the token of the page before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from kfp_perf.client import ListQuery, Operator, Predicate
from kfp_perf.runners.known_objects import KnownObjects

if TYPE_CHECKING:
    import random

    from kfp_perf.client.messages import Page

PAGE_SIZES = {10: 70, 20: 15, 50: 10, 100: 5}
"""Rows a page and how often: 10 is the default of every table."""

ORDERS = {"created_at desc": 80, "created_at": 5, "name": 10, "name desc": 5}

DEEPER = 0.25
"""The probability that a reader continues with the next page of an earlier list."""
PERSISTENCE = 0.8
"""The probability that a reader of a later page continues with the next: one in ten reaches ten pages."""
SEARCHES = 0.10
"""How often a list is searched for a part of a name."""
IN_EXPERIMENT = 0.30
"""The probability that a list of runs is of one experiment."""

OPEN_LISTS = 200
"""How many lists are kept open at a later page."""

_SHORTEST_SEARCH, _LONGEST_SEARCH = 3, 8
_NOT_ARCHIVED = Predicate("storage_state", Operator.NOT_EQUALS, "ARCHIVED")
_ARCHIVED_KINDS = frozenset({"ListRuns", "ListExperiments"})


class OpenList(NamedTuple):
    """A list at one of its pages (from 0). `scope` is the pipeline whose versions it shows."""

    query: ListQuery
    page: int = 0
    scope: str = ""


class Views:
    """Draws the next query, for one kind of list."""

    def __init__(self, call: str, namespace: str, chance: random.Random) -> None:
        self._namespace = namespace
        self._chance = chance
        self._filters = (_NOT_ARCHIVED,) if call in _ARCHIVED_KINDS else ()
        self._open: KnownObjects[OpenList] = KnownObjects(chance, OPEN_LISTS)
        self._pursued: OpenList | None = None
        self._names: KnownObjects[str] = KnownObjects(chance)

    def next(self, *, experiment_id: str = "", scope: str = "") -> OpenList:
        """Return the next query: a first page, or the page after one that was passed to `add`.

        A first page is of the experiment (runs), or of the pipeline `scope` (versions), where they are given.
        """
        chance = self._chance
        if chance.random() < DEEPER and (deeper := self._pursued or self._open.pick()) is not None:
            self._pursued = None
            return deeper
        filters = self._filters
        if chance.random() < SEARCHES and (part := self._part_of_a_name()):
            filters = (Predicate("name", Operator.IS_SUBSTRING, part), *filters)
        query = ListQuery(
            namespace="" if experiment_id else self._namespace,
            experiment_id=experiment_id,
            page_size=_draw(chance, PAGE_SIZES),
            sort_by=_draw(chance, ORDERS),
            filter=filters,
        )
        return OpenList(query, scope=scope)

    def add(self, shown: OpenList, page: Page[Any]) -> None:
        """Add a page: its names can be searched for, and the page after it can be read."""
        self._open.remove(shown)
        self._names.add(item.display_name for item in page.items)
        if page.next_page_token:
            later = shown._replace(query=shown.query.next(page.next_page_token), page=shown.page + 1)
            self._open.add([later])
            if shown.page and self._chance.random() < PERSISTENCE:
                self._pursued = later

    def close(self, shown: OpenList) -> None:
        """Remove a list whose experiment or pipeline is gone."""
        self._open.remove(shown)

    def _part_of_a_name(self) -> str:
        name = self._names.pick() or ""
        length = self._chance.randint(_SHORTEST_SEARCH, _LONGEST_SEARCH)
        start = self._chance.randint(0, max(0, len(name) - length))
        return name[start : start + length]


def _draw(chance: random.Random, weights: dict[Any, int]) -> Any:
    return chance.choices(tuple(weights), tuple(weights.values()))[0]
