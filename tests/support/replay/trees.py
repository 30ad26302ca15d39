"""The task entries of a run as a tree that does not depend on generated names, ids, times or their order.

An entry refers to its children by the id of their Argo node, which is the workflow's name and the 32-bit FNV-1a
hash of the node's full name (`Workflow.NodeID` of argo-workflows). The full names are found by trying: a child's
name is that of a node above it, and a suffix.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

UNKNOWN = "?"
_TIMES = ("create_time", "start_time", "end_time")
_TRIES = 8


def fnv1a(text: str) -> int:
    """Return the 32-bit FNV-1a hash of a text."""
    value = 0x811C9DC5
    for byte in text.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def workflow_name(entries: list[dict[str, Any]]) -> str:
    """Return the name of the workflow that the entries belong to, empty where it cannot be seen."""
    for entry in entries:
        for child in entry.get("child_tasks", ()):
            found = re.fullmatch(r"(.+)-\d+", child.get("pod_name", ""))
            if found:
                return found[1]
    return ""


def node_names(entries: list[dict[str, Any]]) -> dict[str, str]:
    """Return the full name of each node that is somebody's child, without the workflow's name."""
    wanted = {child["pod_name"] for entry in entries for child in entry.get("child_tasks", ())}
    suffixes = {f".{entry.get('display_name', '')}" for entry in entries}
    suffixes |= {f"({number})" for number in range(_TRIES)}
    return _names(workflow_name(entries), frozenset(wanted), frozenset(suffixes))


@lru_cache(maxsize=256)
def _names(workflow: str, wanted: frozenset[str], suffixes: frozenset[str]) -> dict[str, str]:
    found_names: dict[str, str] = {}
    fresh = [""]
    while fresh and len(found_names) < len(wanted):
        tried = [name + suffix for name in fresh for suffix in suffixes]
        fresh = []
        for name in tried:
            node = f"{workflow}-{fnv1a(workflow + name)}"
            if node in wanted and node not in found_names:
                found_names[node] = name
                fresh.append(name)
    return found_names


def plain_tree(entries: list[dict[str, Any]]) -> list[str]:
    """Return each entry as JSON without what differs from run to run, sorted."""
    workflow, names = workflow_name(entries), node_names(entries)
    return sorted(json.dumps(_plain(entry, workflow, names), sort_keys=True) for entry in entries)


def _plain(entry: dict[str, Any], workflow: str, names: dict[str, str]) -> dict[str, Any]:
    plain = {key: value for key, value in entry.items() if key not in ("run_id", "task_id", *_TIMES)}
    plain["display_name"] = _without(entry.get("display_name", ""), workflow)
    if "child_tasks" in entry:
        plain["child_tasks"] = sorted(
            names.get(child.get("pod_name", ""), UNKNOWN) for child in entry["child_tasks"]
        )
    if "state_history" in entry:
        plain["state_history"] = [status.get("state") for status in entry["state_history"]]
    for key in _TIMES:
        plain[key] = _is_set(entry.get(key))
    return plain


def _without(text: str, workflow: str) -> str:
    return text.replace(workflow, "<workflow>", 1) if workflow else text


def _is_set(time: str | None) -> str:
    return "absent" if time is None else "never" if time.startswith(("0001-", "1970-")) else "set"


__all__ = ["node_names", "plain_tree", "workflow_name"]
