"""The names that Argo allows in a workflow, for what KFP's compiler makes of a pipeline's names.

The API server has Argo validate the workflow of each run, and answers CreateRun with 500 if it is not valid
(workflow/validate of argo-workflows; argocompiler/dag.go of KFP 2.17).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_LENGTH = 128
_NAME = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9]*", re.ASCII)


def name_fault(name: str, task: Mapping[str, Any]) -> str:
    """Return what is wrong with the name of a task; empty: nothing."""
    if not _NAME.fullmatch(name):
        return "has a name with characters that Argo does not allow"
    if name[0].isdigit():
        return "has a name that begins with a digit, which Argo does not allow"
    if "parameterIterator" in task:
        component = task["componentRef"]["name"]
        longest = f"{component}-{name}-iterator"
    else:
        longest = f"{name}-driver"
    if len(longest) > MAX_LENGTH:
        return f"has too long a name: KFP makes {longest:.40}… of it, and Argo allows {MAX_LENGTH} characters"
    return ""
