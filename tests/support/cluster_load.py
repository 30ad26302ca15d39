"""The emulator's cluster model under a load of runs, in virtual time and without HTTP."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import yaml

import kfp_perf.catalog
from kfp_emulator.clock import SECOND, ManualClock
from kfp_emulator.cluster.cluster import Cluster
from kfp_emulator.cluster.requests import RunRequest
from kfp_emulator.cluster.timing import Profile, load_profile
from kfp_emulator.pipelines.ir import Pipeline, bind_parameters, parse_pipeline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kfp_emulator.cluster.nodes import Report

START = 1_790_000_000 * SECOND


@cache
def catalog_pipeline(name: str) -> Pipeline:
    """A compiled pipeline of the catalog."""
    (path,) = Path(kfp_perf.catalog.__file__).parent.rglob(name)
    return parse_pipeline(list(yaml.safe_load_all(path.read_text("utf-8"))))


def visible_times(
    due: NDArray[np.float64],
    *,
    until: float,
    seed: int = 0,
    profile: Profile | None = None,
    pipeline: str = "hello.yaml",
) -> NDArray[np.float64]:
    """When the end of each run became visible, in seconds; infinite where it had not by `until`.

    `due` holds the moments of the CreateRun calls in ascending order. A call takes its turn at the throttle, as the
    API server's does, and the run begins when it returns.
    """
    clock = ManualClock(START)
    visible = np.full(due.size, np.inf)

    def on_report(report: Report) -> None:
        if report.finished_at is not None:
            visible[int(report.run_id)] = (clock.now() - START) / SECOND

    cluster = Cluster(profile or load_profile("kfp-2.17"), clock, on_report, seed=seed)
    document = catalog_pipeline(pipeline)
    parameters = bind_parameters(document, {})

    def create(number: int) -> None:
        clock.call_at(clock.now() + cluster.create_delay(), lambda: submit(number))

    def submit(number: int) -> None:
        name = str(number)
        cluster.submit(RunRequest(name, name, document, parameters, created_at=clock.now()))

    for number, at in enumerate(due.tolist()):
        clock.call_at(START + round(at * SECOND), lambda number=number: create(number))  # type: ignore[misc]
    clock.advance_to(START + round(until * SECOND))
    return visible
