"""What the control API has decided about tasks before they run: their outputs, failures, length."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

MOST = 1000
"""How many rules are kept; beyond that the oldest is dropped."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One rule. Patterns are those of the shell (`*`, `?`); a task's name is that of its DAG, in a loop too.

    `outputs` by output parameter; `failures` how many attempts of an executor fail, -1 all, and `error` whether
    they end in Argo's Error, which is what a lost pod leaves, and not in Failed; `oom_killed` whether their main
    container is shown to have been killed for its memory; `stuck` never ends by itself;
    `seconds` how long the executor takes; `share` of the runs for which the rule holds.
    """

    task: str = "*"
    pipeline: str = "*"
    run_id: str = "*"
    outputs: dict[str, Any] = field(default_factory=dict)
    failures: int = 0
    error: bool = False
    oom_killed: bool = False
    stuck: bool = False
    seconds: float | None = None
    share: float = 1.0

    def fits(self, task: str, pipeline: str, run_id: str) -> bool:
        """Whether the rule is about this task of this run."""
        return (
            fnmatchcase(task, self.task)
            and fnmatchcase(pipeline, self.pipeline)
            and fnmatchcase(run_id, self.run_id)
        )
