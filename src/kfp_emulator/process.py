"""An emulator in a process of its own, for the tests of other programs.

from kfp_emulator.process import running

with running("--profile", "fast") as emulator:
client = kfp.Client(host=emulator.url)
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

STOP_SECONDS = 20
"""How long a process may take to end before it is killed."""
_CONTROL = "/emulator/v1"


class EmulatorFailed(Exception):
    """The emulator did not start; the text is what it wrote."""


@dataclass(frozen=True, slots=True)
class Emulator:
    """A running emulator: where it listens, and its control API.

    All methods raise urllib.error.HTTPError where the emulator refuses what it is asked for; its body says why.
    """

    url: str
    pid: int
    kubernetes_url: str = ""
    """Where the Kubernetes API listens; empty where there is none."""
    controller_metrics_url: str = ""
    """Where the workflow controller's metrics are; empty where there are none."""
    schedule_metrics_url: str = ""
    """Where those of the scheduled-workflow controller are."""

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which clients find it: `kfp.Client()` and its command line, and kfp-perf."""
        return {"KF_PIPELINES_ENDPOINT": self.url, "API_HOST": self.url}

    def add_faults(self, rules: Sequence[dict[str, Any]]) -> list[int]:
        """Switch fault rules on, and return their numbers; docs/emulator.md lists the effects."""
        numbers: list[int] = self._call("POST", "faults", rules)["ids"]
        return numbers

    def remove_faults(self) -> None:
        """Switch all fault rules off."""
        self._call("DELETE", "faults")

    def set_outcomes(self, rules: Sequence[dict[str, Any]]) -> None:
        """Decide what tasks put out, how they end and how long they take; the last rule that fits counts."""
        self._call("POST", "outcomes", rules)

    def clear_outcomes(self) -> None:
        """Drop all rules about tasks."""
        self._call("DELETE", "outcomes")

    def restart(self, *, outage_seconds: float = 1.0, forget: bool = False) -> None:
        """Restart the server: connections are refused for so long; with `forget` the database is lost."""
        self._call("POST", "restart", {"outage_seconds": outage_seconds, "forget": forget})

    def restart_component(
        self, name: str, *, reason: str = "Error", exit_code: int | None = None, outage_seconds: float = 1.0
    ) -> None:
        """End the container of a component (`OOMKilled` is a reason), and start it again after so long."""
        wanted = {"reason": reason, "exit_code": exit_code, "outage_seconds": outage_seconds}
        self._call("POST", f"components/{name}:restart", wanted)

    def components(self) -> list[dict[str, Any]]:
        """Return KFP's components: their names, whether they are up, restarts, modelled CPU and memory."""
        found: list[dict[str, Any]] = self._call("GET", "components")["components"]
        return found

    def compact(self) -> None:
        """Forget the history of the Kubernetes API: older resource versions are answered by 410."""
        self._call("POST", "kubernetes/compact")

    def deny(self, denials: Sequence[dict[str, str]]) -> None:
        """Let the Kubernetes API deny this and nothing else: `verb`, `resource`, `group`, `namespace`, `user`."""
        self._call("POST", "kubernetes/denials", denials)

    def pods(self, run_id: str = "") -> list[dict[str, Any]]:
        """Return what happened to the pods of one run, or of all, in true microseconds."""
        return self._lines("pods", run_id)

    def truth(self, run_id: str = "") -> list[dict[str, Any]]:
        """Return the events of one run, or of all, in their order; `at_us` is the true time in microseconds."""
        return self._lines("truth", run_id)

    def server(self) -> dict[str, Any]:
        """Return the requests by operation, the runs in flight and the faults that were injected so far."""
        found: dict[str, Any] = self._call("GET", "server")
        return found

    def _lines(self, path: str, run_id: str) -> list[dict[str, Any]]:
        query = urlencode({"run_id": run_id}) if run_id else ""
        with urllib.request.urlopen(f"{self.url}{_CONTROL}/{path}?{query}") as answer:  # noqa: S310  our own URL
            return [json.loads(line) for line in answer]

    def _call(self, method: str, path: str, document: object = None) -> Any:
        body = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(f"{self.url}{_CONTROL}/{path}", body, method=method)  # noqa: S310  our own URL
        with urllib.request.urlopen(request) as answer:  # noqa: S310  our own URL
            return json.load(answer)


@contextlib.contextmanager
def running(*options: str) -> Iterator[Emulator]:
    """Run `kfp-emulator` with the given options on a free port, for as long as the context is open.

    The process ends with this one, even where this one is killed.

    Raises:
        EmulatorFailed: the options cannot be used.

    """
    process = subprocess.Popen(
        [sys.executable, "-m", "kfp_emulator", "--port", "0", "--exit-with-stdin", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise AssertionError("all three are pipes")
        ready = process.stdout.readline()
        if not ready:
            raise EmulatorFailed(process.stderr.read().decode(errors="replace").strip())
        try:
            yield Emulator(**json.loads(ready))
        finally:
            process.stdin.close()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


__all__ = ["Emulator", "EmulatorFailed", "running"]
