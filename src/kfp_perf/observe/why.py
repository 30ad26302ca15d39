"""Why a run did not succeed, in a line that is the same for all runs that failed alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kfp_perf.observe.reading import Reading

#: So many tasks are named, the others counted.
MOST_NAMES = 3
_FAILED = frozenset({"FAILED", "ERROR"})
_DRIVER = "-driver"


def failed_tasks(reading: Reading) -> list[str]:
    """The names of the tasks whose own pods failed, in alphabetical order.

    A group around a failed task fails too, but is not named. `T (its driver)`: the task itself never began.
    """
    failed = [entry for entry in reading.entries if entry.state in _FAILED]
    tasks = [entry for entry in failed if entry.name in reading.components]
    # Where the pipeline is not known, groups may be taken for components; they have no executor.
    executed = [entry for entry in tasks if entry in reading.executions]
    drivers = [entry.name.removesuffix(_DRIVER) for entry in failed if entry.name.endswith(_DRIVER)]
    return sorted({entry.name for entry in executed or tasks} | {f"{name} (its driver)" for name in drivers})


def why(state: str, reading: Reading, message: str) -> str:
    """`FAILED: task train failed: KFP's message`, as far as these are known."""
    names = failed_tasks(reading)
    parts = [state]
    if names:
        more = len(names) - MOST_NAMES
        told = ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
        parts.append(f"task{'s' if len(names) > 1 else ''} {told} failed")
    return ": ".join([*parts, message] if message else parts)
