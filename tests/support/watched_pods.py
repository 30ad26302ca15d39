"""A scenario on the emulator in virtual time, whose pods are followed meanwhile; and the truth of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from emulated import Emulated
from virtual_time import VirtualClock

from kfp_emulator.http.ports import SidePorts
from kfp_emulator.http.server import open_socket
from kfp_perf.config import TestConfig
from kfp_perf.evidence.kubernetes import source
from kfp_perf.evidence.kubernetes.records import PODS_FILE, pod_decoder
from kfp_perf.evidence.source import Notice, Sink
from kfp_perf.metrics.pods import stage_of
from kfp_perf.result.append_file import read_lines

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from kfp_emulator.kubernetes.run_pod import RunPod
    from kfp_perf.client import KfpClient
    from kfp_perf.evidence.kubernetes.records import PodRecord

MICRO = 1e-6
#: Argo's `wait` ends with the task on the emulator, so there is no truth of `saving`.
STAGES = ("scheduling", "pull", "start", "work")


class WatchedPods(Emulated):
    """One-task runs at a rate; `records_of_pods` is what was written of their pods, `notices` what was said."""

    def __init__(self, folder: Path, runs: int, *, profile: str = "kfp-2.17", **options: Any) -> None:
        self.folder = folder
        self.runs = runs
        self.notices: list[Notice] = []
        self.sink: Sink | None = None
        fields = {
            "mode": "PIPELINE_RUN",
            "pipelineFileName": "hello.yaml",
            "runTime": f"{runs * 60 / 72:g}s",
            "arrivalRate": "72/min",
            "gracePeriod": "1h",
            "pollInterval": "5s",
        }
        super().__init__(fields, profile, meanwhile=self._follow, clean_up=False, **options)

    async def _follow(self, _emulated: Emulated, _client: KfpClient) -> None:
        port = SidePorts(self.backend, open_socket("127.0.0.1", 0), None)
        port.start()
        config = TestConfig(kubernetes_url=port.urls["kubernetes_url"])
        clock = VirtualClock()
        self.sink = Sink(self.folder, source.parts(config), 2**30, clock.now, self.notices.append)
        stop = asyncio.Event()
        collecting = asyncio.create_task(source.collect(config, self.sink, stop))
        # Until the runs have ended, the reports of the last ones included.
        while len(self.records) < self.runs:  # noqa: ASYNC110  there is no event for it
            await asyncio.sleep(1.0)
        stop.set()
        await collecting
        self.sink.close()
        await port.stop()

    @property
    def records_of_pods(self) -> dict[str, list[PodRecord]]:
        """The lines by the name of the pod."""
        found: dict[str, list[PodRecord]] = {}
        for record in read_lines(self.folder / PODS_FILE, pod_decoder):
            found.setdefault(record.pod, []).append(record)
        return found


def true_stages(pod: RunPod) -> Mapping[str, float]:
    """How long each stage of a pod took, in seconds, from the emulator's true times."""
    assert pod.moments is not None
    assert pod.started is not None
    assert pod.ended is not None
    pull = pod.moments.pulled - pod.moments.initialized
    return {
        "scheduling": (pod.moments.scheduled - pod.created) * MICRO,
        "pull": pull * MICRO,
        "start": (pod.started - pod.moments.scheduled - pull) * MICRO,
        "work": (pod.ended - pod.started) * MICRO,
    }


def errors_of(record: PodRecord, pod: RunPod) -> dict[str, float]:
    """By how much each stage of a line differs from the truth, in seconds."""
    truth = true_stages(pod)
    found = {}
    for stage in STAGES:
        seconds = stage_of(record, stage)
        assert seconds is not None, f"{record.pod} has no {stage}"
        found[stage] = seconds - truth[stage]
    return found
