"""Runs with long loops, in the ways in which their items may depend on each other."""

from __future__ import annotations

import json
from typing import Any

from small_pipelines import Draft, task

#: The fields of the loop beside its items, and how many such loops there are side by side.
LOOPS: dict[str, tuple[dict[str, Any], int]] = {
    "at once": ({}, 1),
    "five at a time": ({"iteratorPolicy": {"parallelismLimit": 5}}, 1),
    "two loops side by side": ({}, 2),
}


def loop_pipeline(kind: str, items: int) -> list[dict[str, Any]]:
    """The documents of a pipeline with loops over so many items, each of three tasks."""
    draft = Draft("loops")
    draft.container("work")
    body = {"a": task("work"), "b": task("work", after=["a"]), "c": task("work", after=["a"])}
    draft.dag("body", body)
    fields, loops = LOOPS[kind]
    loop = {"item": json.dumps([*range(items)])}
    return draft.documents({f"loop-{place}": {**task("body", loop=loop), **fields} for place in range(loops)})
