"""The content of an event about an object, whichever API shows it."""

from __future__ import annotations

from typing import NamedTuple


class Occurrence(NamedTuple):
    """The content of an event about an object."""

    reason: str
    message: str
    component: str
    """Who reports it: `kubelet`, `default-scheduler`, ..."""
    at: int
    host: str = ""
    field_path: str = ""
    kind: str = "Normal"
