"""What an event says of an object, whichever API shows it."""

from __future__ import annotations

from typing import NamedTuple


class Occurrence(NamedTuple):
    """What an event says of an object."""

    reason: str
    message: str
    component: str
    """Who reports it: `kubelet`, `default-scheduler`, ..."""
    at: int
    host: str = ""
    field_path: str = ""
    kind: str = "Normal"
