"""What Argo refuses of a workflow that KFP has compiled, when a run is created.

Follows workflow/validate of argo-workflows (validateDAG, validateWorkflowFieldNames) and its texts.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_NAME_LENGTH = 128
_NAME = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9]*", re.ASCII)


class WorkflowFault(Exception):
    """What Argo says against a template; the text follows `templates.NAME`."""


def in_order(waits_for: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the tasks of a DAG in an order in which each follows what it waits for (Kahn's algorithm).

    Raises:
        WorkflowFault: a task waits for one that is not there, or tasks wait for each other.

    """
    left = {name: set(each) for name, each in waits_for.items()}
    dependents: dict[str, list[str]] = {name: [] for name in left}
    for name, each in left.items():
        for dependency in sorted(each):
            if dependency not in left:
                raise WorkflowFault(f" sorting failed: invalid dependency {dependency}")
            dependents[dependency].append(name)
    order: list[str] = []
    ready = deque(name for name, each in left.items() if not each)
    while ready:
        name = ready.popleft()
        order.append(name)
        for dependent in dependents[name]:
            left[dependent].discard(name)
            if not left[dependent]:
                ready.append(dependent)
    if len(order) < len(left):
        raise WorkflowFault(" sorting failed: graph with cycle")
    return order


def check_task_names(names: Iterable[str], *, using_depends: bool) -> None:
    """Check the names of a DAG's tasks, of which some may depend on others.

    Raises:
        WorkflowFault: a name is too long, has a character that Argo does not allow, or begins with a digit.

    """
    for index, name in enumerate(names):
        if fault := _name_fault(name):
            raise WorkflowFault(f".tasks[{index}].name: '{name}' is invalid: {fault}")
        if using_depends and name[0].isdigit():
            raise WorkflowFault(
                f".tasks.{name} name cannot begin with a digit when using either 'depends' or 'dependencies'"
            )


def template_fault(names: Iterable[str]) -> str:
    """Return what Argo says of the first template whose name is not valid; empty: nothing."""
    for index, name in enumerate(names):
        if fault := _name_fault(name):
            return f"spec.templates[{index}].name: '{name}' is invalid: {fault}"
    return ""


def _name_fault(name: str) -> str:
    faults = []
    if len(name.encode()) > MAX_NAME_LENGTH:
        faults.append(f"must be no more than {MAX_NAME_LENGTH} characters")
    if not _NAME.fullmatch(name):
        faults.append(
            "name must consist of alpha-numeric characters or '-', and must start with an alpha-numeric "
            "character (e.g. My-name1-2, 123-NAME)"
        )
    return ";".join(faults)


__all__ = ["MAX_NAME_LENGTH", "WorkflowFault", "check_task_names", "in_order", "template_fault"]
