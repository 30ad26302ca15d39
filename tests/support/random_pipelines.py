"""Pipelines of all kinds of DAG, made up from a seed."""

from __future__ import annotations

import random
from typing import Any

from small_pipelines import Draft, task

_KINDS = {"container": 12, "retried": 2, "importer": 1, "group": 3, "condition": 2, "loop": 2, "exit": 1}
_DEEPEST = 2


def random_pipeline(seed: int) -> list[dict[str, Any]]:
    """The documents of a pipeline: tasks side by side and in a row, groups, conditions, loops, exit handlers."""
    return _Author(seed).documents()


class _Author:
    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.draft = Draft(f"random-{seed}")
        self.draft.container("work")
        self.draft.importer("import")
        self.names = 0

    def documents(self) -> list[dict[str, Any]]:
        return self.draft.documents(self.tasks(0))

    def tasks(self, depth: int) -> dict[str, Any]:
        tasks: dict[str, Any] = {}
        for _ in range(self.chance.randint(1, 4 - depth)):
            # Behind an exit task there is nothing: Argo refuses that.
            before = [name for name, each in tasks.items() if "strategy" not in each.get("triggerPolicy", {})]
            after = self.chance.sample(before, min(len(before), self.chance.randint(0, 2)))
            waits: dict[str, Any] = {"after": after} if after else {}
            kind = self.chance.choices([*_KINDS], [*_KINDS.values()])[0]
            if depth == _DEEPEST and kind not in {"retried", "importer"}:
                kind = "container"
            tasks |= getattr(self, f"_{kind}")(waits, depth)
        return tasks

    def _name(self, what: str) -> str:
        self.names += 1
        return f"{what}-{self.names}"

    def _container(self, waits: dict[str, Any], _depth: int) -> dict[str, Any]:
        cached = {"enableCache": True} if self.chance.random() < 0.5 else {}
        return {self._name("work"): task("work", cache=cached, **waits)}

    def _retried(self, waits: dict[str, Any], _depth: int) -> dict[str, Any]:
        policy = {"maxRetryCount": 2, "backoffDuration": "1s", "backoffFactor": 2}
        return {self._name("work"): task("work", retry=policy, **waits)}

    def _importer(self, waits: dict[str, Any], _depth: int) -> dict[str, Any]:
        return {self._name("import"): task("import", **waits)}

    def _group(self, waits: dict[str, Any], depth: int, **given: Any) -> dict[str, Any]:
        name = self._name("group")
        self.draft.dag(f"comp-{name}", self.tasks(depth + 1), given.pop("takes", None))
        return {name: task(f"comp-{name}", **waits, **given)}

    def _condition(self, waits: dict[str, Any], depth: int) -> dict[str, Any]:
        return self._group(waits, depth, when=self.chance.choice(["true", "true", "1 == 2"]))

    def _loop(self, waits: dict[str, Any], depth: int) -> dict[str, Any]:
        items = str([*range(self.chance.randint(0, 3))])
        limit = self.chance.choice([None, None, 1, 2])
        limited = {} if limit is None else {"parallelism": limit}
        return self._group(waits, depth, takes={"item": "NUMBER_INTEGER"}, loop={"item": items}, **limited)

    def _exit(self, waits: dict[str, Any], depth: int) -> dict[str, Any]:
        guarded = self._group(waits, depth)
        (name,) = guarded
        return {**guarded, self._name("work"): task("work", after=[name], exit_=True)}
