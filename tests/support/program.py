"""The program as its user starts it, and plain requests to a server that share nothing with our client."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path


class Server:
    """An emulator, and plain requests to it that share nothing with our client."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/apis/v2beta1/{path}") as answer:
            return json.load(answer)

    def ours(self) -> dict[str, list[str]]:
        """The names of all that kfp-perf made here."""
        found = {
            kind: [row["display_name"] for row in self.get(f"{kind}?page_size=200").get(kind, [])]
            for kind in ("runs", "experiments", "pipelines")
        }
        return {
            kind: mine
            for kind, names in found.items()
            if (mine := [name for name in names if name.startswith("kfp-perf-")])
        }


class Program:
    """The program as its user starts it: a process in a folder of its own."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kfp_perf", *arguments],
            cwd=folder,
            env={**os.environ, "NO_COLOR": "1", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.errors = ""

    def wait_for(self, words: str) -> None:
        """Read its output up to these words."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.errors += line
            if words in line:
                return
        pytest.fail(f"{words!r} never came; it said:\n{self.errors}")

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def end(self, timeout: float = 60) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=timeout)
        return self.process.returncode, out, self.errors + err

    def result(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.folder / "results/latest/result.json").read_text())
        return document

    def lines(self, file: str) -> list[dict[str, Any]]:
        """The lines of this file of each scenario, scenario by scenario."""
        paths = sorted((self.folder / "results/latest/scenarios").glob(f"*/{file}"))
        return [json.loads(line) for path in paths for line in path.read_text().splitlines()]

    def runs(self) -> list[dict[str, Any]]:
        return self.lines("runs.jsonl")
