"""The stages of a pod's life, in their order."""

from __future__ import annotations

CREATED = 0
UNSCHEDULABLE = 1
SCHEDULED = 2
INITIALIZING = 3
"""Its init containers run."""
INITIALIZED = 4
"""The init containers have ended; the image of the main container is being pulled, where it must be."""
RUNNING = 5
TERMINATING = 6
"""It is being deleted before it ran."""
ENDED = 7
COMPLETED = 8
"""The workflow controller has labelled it."""


def phase_at(stage: int, last: str) -> str:
    """Return the phase of a pod at a stage; `last` is the phase of Argo's node in which it ended."""
    if stage >= ENDED:
        return "Succeeded" if last == "Succeeded" else "Failed"
    return "Running" if stage == RUNNING else "Pending"
