"""An emulator on a clock that stands still, and its Kubernetes API without a socket."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from small_pipelines import START

from kfp_emulator.clock import ManualClock
from kfp_emulator.cluster.requests import RunRequest
from kfp_emulator.kubernetes.api import Document, KubernetesApi, Request
from kfp_emulator.kubernetes.watches import Watch
from kfp_emulator.options import Options, build
from kfp_emulator.pipelines.ir import bind_parameters

if TYPE_CHECKING:
    from kfp_emulator.cluster.timing import Profile
    from kfp_emulator.pipelines.ir import Pipeline

PODS = "/api/v1/namespaces/kubeflow/pods"


class World:
    """A cluster in simulated time, as its Kubernetes API shows it."""

    def __init__(self, profile: Profile, **options: Any) -> None:
        self.clock = ManualClock(START)
        self.backend = build(Options(profile, **options), self.clock)
        self.cluster = self.backend.cluster
        self.installation = self.backend.kubernetes
        self._api = KubernetesApi(self.installation)

    def submit(self, pipeline: Pipeline, run_id: str = "run", **parameters: Any) -> None:
        """Create a run's workflow."""
        bound = bind_parameters(pipeline, parameters)
        self.cluster.submit(RunRequest(run_id, run_id, pipeline, bound, created_at=self.clock.now()))

    def answer(self, method: str, path: str, body: Any = None, token: str = "", **query: Any) -> Any:
        """Return the decoded answer to a request; a refusal is raised."""
        data = b"" if body is None else json.dumps(body).encode()
        authorization = f"Bearer {token}" if token else ""
        texts = {name: str(value) for name, value in query.items()}
        found = self._api.answer(Request(method, path, texts, authorization, data))
        if isinstance(found, (Document, Watch)):
            return found.document if isinstance(found, Document) else found

        async def collect() -> bytes:
            return b"".join([part async for part in found])

        return json.loads(asyncio.run(collect()))

    def get(self, path: str, **query: Any) -> Any:
        """Return the decoded answer to a GET."""
        return self.answer("GET", path, **query)

    def run_pods(self, run_id: str = "run", **query: Any) -> list[dict[str, Any]]:
        """Return the pods of a run, in the order of their names."""
        items: list[dict[str, Any]] = self.get(PODS, labelSelector=f"pipeline/runid={run_id}", **query)[
            "items"
        ]
        return items

    def version(self) -> str:
        """Return the newest resource version."""
        version: str = self.get(PODS, limit=1)["metadata"]["resourceVersion"]
        return version

    def watch(self, path: str = PODS, **query: Any) -> Follower:
        """Begin a watch."""
        return Follower(self.get(path, watch="1", **query))


class Follower:
    """A watch whose events are taken when a test asks for them."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.there = [entry.document() for entry in watch.begin()]
        """What was there when it began without a version."""

    def events(self) -> list[dict[str, Any]]:
        """Return the events since the last call."""
        lines: list[bytes] = []
        caught_up = False
        while not caught_up:
            more, caught_up = self.watch.take()
            lines += more
        return [json.loads(line) for line in lines]
