"""An object that changes so seldom that its documents are written down at each change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_emulator.kubernetes.journal import Recorded

if TYPE_CHECKING:
    from kfp_emulator.kubernetes.journal import Journal
    from kfp_emulator.kubernetes.occurrences import Occurrence


class Stated(Recorded):
    """An object with a document, and the events of the change to it, for each of its versions."""

    __slots__ = ("documents", "happened")

    def __init__(self, resource: str, namespace: str, name: str) -> None:
        super().__init__(resource, namespace, name)
        self.documents: list[dict[str, Any]] = []
        self.happened: list[list[Occurrence]] = []

    def state(
        self, journal: Journal, document: dict[str, Any], occurrences: list[Occurrence] | None = None
    ) -> None:
        """Write a change into the journal: the object looks like `document` from now on."""
        self.documents.append(document)
        self.happened.append(occurrences or [])
        journal.record(self, 0)
