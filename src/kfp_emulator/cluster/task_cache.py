"""The cache of task executions, as the API server keeps it: by fingerprint, the newest wins, gone with its run."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kfp_emulator.pipelines.plans import TaskPlan

_KEPT_PER_FINGERPRINT = 100


def fingerprint(task: TaskPlan, inputs: dict[str, Any], namespace: str, pipeline_name: str) -> bytes:
    """Return the key under which an execution is cached.

    It covers image, command, arguments, inputs and outputs, or the component and the task's own cache key
    (backend/src/v2/driver/cache.go).
    """
    if task.cache_key:
        what: list[Any] = [task.component.name, task.cache_key]
    else:
        what = [task.component.fingerprint.hex(), inputs, task.artifacts]
    text = json.dumps([namespace, pipeline_name, what], sort_keys=True)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class TaskCache:
    """Executions that succeeded, with a value of the caller for each."""

    def __init__(self) -> None:
        self._entries: dict[bytes, dict[str, Any]] = {}
        self._of_run: dict[str, list[bytes]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def newest(self, key: bytes) -> Any:
        """Return what was kept last under a fingerprint, None where nothing is."""
        entries = self._entries.get(key)
        return entries[next(reversed(entries))] if entries else None

    def add(self, key: bytes, run_id: str, kept: Any) -> None:
        """Keep an execution of a run."""
        entries = self._entries.setdefault(key, {})
        if run_id in entries:
            del entries[run_id]
        else:
            self._of_run.setdefault(run_id, []).append(key)
        entries[run_id] = kept
        if len(entries) > _KEPT_PER_FINGERPRINT:
            oldest = next(iter(entries))
            del entries[oldest]
            self._forget_key(oldest, key)

    def drop_run(self, run_id: str) -> None:
        """Forget the executions of a deleted run."""
        for key in self._of_run.pop(run_id, ()):
            entries = self._entries[key]
            del entries[run_id]
            if not entries:
                del self._entries[key]

    def _forget_key(self, run_id: str, key: bytes) -> None:
        keys = self._of_run[run_id]
        keys.remove(key)
        if not keys:
            del self._of_run[run_id]
