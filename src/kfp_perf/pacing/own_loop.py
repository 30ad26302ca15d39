"""Coroutines for callers that are not asynchronous, also where an event loop already runs: in a notebook."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

Returned = TypeVar("Returned")


def run_in_own_loop(coroutine: Coroutine[Any, Any, Returned]) -> Returned:
    """Run a coroutine to its end, and return its value.

    Where this thread already has a running event loop, the coroutine runs in a separate thread. Ctrl-C then ends
    the wait; the thread ends with the coroutine.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    executor = ThreadPoolExecutor(1, thread_name_prefix="loop")
    try:
        return executor.submit(asyncio.run, coroutine).result()
    finally:
        executor.shutdown(wait=False)
