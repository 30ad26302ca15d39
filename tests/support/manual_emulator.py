"""An emulator that is called without a socket, at moments that the test chooses."""

from __future__ import annotations

import asyncio
import json
import weakref
from datetime import UTC, datetime
from typing import Any

from kfp_emulator.clock import SECOND, ManualClock
from kfp_emulator.cluster.timing import load_profile
from kfp_emulator.http.app import App
from kfp_emulator.options import Options, build

START = int(datetime(2026, 1, 5, 12, 0, 30, tzinfo=UTC).timestamp())
V2 = "/apis/v2beta1"


class Manual:
    """An emulator without socket or loop, whose clock stands until the test moves it."""

    def __init__(self, profile: str = "instant", **options: Any) -> None:
        self.clock = ManualClock(START * SECOND)
        self.backend = build(Options(load_profile(profile), **options), self.clock)
        weakref.finalize(self, self.backend.close)
        self._app = App(self.backend)

    def call(self, method: Any, path: Any, body: Any = None) -> Any:
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": f"{V2}/{path}",
            "query_string": query.encode(),
            "headers": [],
        }
        sent = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"" if body is None else json.dumps(body).encode()}

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(self._app(scope, receive, send))
        return sent[0]["status"], json.loads(sent[1]["body"])

    def good(self, method: Any, path: Any, body: Any = None) -> Any:
        status, document = self.call(method, path, body)
        assert status == 200, document
        return document

    def schedule(self, small: Any, trigger: Any = None, **fields: Any) -> Any:
        body = {
            "display_name": "My Nightly Job!",
            "max_concurrency": "10",
            "mode": "ENABLE",
            "pipeline_spec": small,
            **({"trigger": trigger} if trigger else {}),
            **fields,
        }
        return self.good("POST", "recurringruns", body)

    def runs(self) -> Any:
        return self.good("GET", "runs?page_size=200").get("runs", [])
