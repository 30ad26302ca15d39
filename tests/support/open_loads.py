"""When runs are due under open loads of several shapes, and a queue with many servers to put them through."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import numpy as np

from kfp_perf.statistics.backlog import Backlog, Flow, judge_backlog

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHAPES = ("constant", "poisson", "ramp", "stairs", "spike")


def due_times(shape: str, rate: float, seconds: float, random: np.random.Generator) -> NDArray[np.float64]:
    """When runs are due, in seconds; `rate` is the highest rate a second.

    A ramp rises from a tenth of the rate, stairs in three steps, and a spike of a fifth of the time stands anywhere
    on half of the rate. All but `poisson` are evenly spaced at their rate of the moment.
    """
    at = np.arange(0.0, seconds, 0.05)
    done = at / seconds
    spike_from = random.uniform(0.1, 0.75)
    relative = {
        "constant": np.ones_like(at),
        "poisson": np.ones_like(at),
        "ramp": 0.1 + 0.9 * done,
        "stairs": np.ceil(np.maximum(done, 1e-9) * 3.0) / 3.0,
        "spike": np.where((done >= spike_from) & (done < spike_from + 0.2), 1.0, 0.5),
    }[shape]
    expected = np.concatenate(([0.0], np.cumsum(relative * rate * 0.05)))
    ranks = (
        np.sort(random.uniform(0.0, expected[-1], random.poisson(expected[-1])))
        if shape == "poisson"
        else np.arange(0.5, expected[-1])
    )
    return np.asarray(np.interp(ranks, expected, np.arange(expected.size) * 0.05))


def queue_times(due: NDArray[np.float64], service: NDArray[np.float64], servers: int) -> NDArray[np.float64]:
    """The times at which runs leave a queue of `servers` servers, first come, first served."""
    free = [0.0] * servers
    left = np.empty(due.size)
    for place, (at, takes) in enumerate(zip(due.tolist(), service.tolist(), strict=True)):
        left[place] = max(at, free[0]) + takes
        heapq.heapreplace(free, left[place])
    return left


def judge_times(
    due: NDArray[np.float64], left: NDArray[np.float64], *, load_end: float, poll: float = 1.0
) -> Backlog:
    """Judge a load by exact times, as a test does that looks every `poll` seconds and counts every second."""
    seen = np.ceil(left / poll) * poll
    flow = Flow.of_times(due, seen, begin=0.0, end=load_end)
    order = np.argsort(seen, kind="stable")
    order = order[seen[order] <= load_end][:20]
    return judge_backlog(flow, (seen - due)[order], load_end=load_end)
