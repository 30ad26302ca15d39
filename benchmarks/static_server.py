"""A server with minimal cost: it answers every request with the same run, about 3 KB of JSON.

As a program it prints the port it listens on (127.0.0.1), and ends when its standard input closes.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import cast

import httptools
import uvloop

RUN_ID = "8e1c4f6a-52a7-4f0f-9a35-0d6a5ad5c0de"


def run_json() -> bytes:
    """A run of a pipeline with two tasks as KFP 2.17 gives it: with its task entries and histories."""
    created, begun, ended = (f"2026-11-24T08:00:{second:02}Z" for second in (0, 2, 31))

    def history(*states: str) -> list[dict[str, str]]:
        return [{"update_time": begun, "state": state} for state in states]

    names = ("add-numbers-x7k2f", "root-driver", "root", "add-numbers-driver", "add-numbers", "executor")
    return json.dumps(
        {
            "experiment_id": "3f1b1c1e-7b1c-4a54-a3e1-5b6f0b3c2a11",
            "run_id": RUN_ID,
            "display_name": "add-numbers 2026-11-24 08-00-00",
            "storage_state": "AVAILABLE",
            "pipeline_version_reference": {"pipeline_id": RUN_ID, "pipeline_version_id": RUN_ID},
            "runtime_config": {"parameters": {"a": 1, "b": 2}},
            "service_account": "pipeline-runner",
            "created_at": created,
            "scheduled_at": created,
            "finished_at": ended,
            "state": "SUCCEEDED",
            "run_details": {
                "task_details": [
                    {
                        "run_id": RUN_ID,
                        "task_id": f"{number:08x}-7b1c-4a54-a3e1-5b6f0b3c2a11",
                        "display_name": name,
                        "create_time": created,
                        "start_time": begun,
                        "end_time": ended,
                        "state": "SUCCEEDED",
                        "state_history": history("RUNNING", "SUCCEEDED"),
                        "child_tasks": [{"pod_name": f"add-numbers-x7k2f-{number + 1234567890}"}],
                    }
                    for number, name in enumerate(names)
                ]
            },
            "state_history": history("PENDING", "RUNNING", "SUCCEEDED"),
        }
    ).encode()


class _Answer(asyncio.Protocol):
    """Answers every request on a connection in the same way."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._transport.write(self._answer)


async def serve() -> None:
    body = run_json()
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        f"Grpc-Metadata-Content-Type: application/grpc\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    answer = head.encode() + body
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Answer(answer), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    uvloop.run(serve())
