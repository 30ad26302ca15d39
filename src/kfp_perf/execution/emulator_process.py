"""The emulator as a child process, for tests without a cluster."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Self

from kfp_perf.errors import ExitCode, InputError, Problem, TargetError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The namespace of the emulated installation and of its runs.
EMULATED_NAMESPACE = "kubeflow"
_ENDS_WITHIN_SECONDS = 5.0


class EmulatorProcess:
    """Runs `python -m kfp_emulator` on a free port of this machine, for as long as the context is open.

    It runs in a new process session, so that Ctrl-C in the terminal does not end it before the clean-up. It ends
    when its standard input closes, so that it does not outlive this process.
    """

    def __init__(self, profile: str = "fast", seed: int = 0, options: Sequence[str] = ()) -> None:
        self.profile = profile
        self._command = [
            *(sys.executable, "-m", "kfp_emulator"),
            *("--port", "0", "--exit-with-stdin", "--profile", profile, "--seed", str(seed)),
            *options,
        ]
        self.url = ""
        #: Its Prometheus endpoints beside the API server's: URLs by name, as in `TestConfig.metrics_urls`.
        self.metrics_urls: dict[str, str] = {}
        #: Its Kubernetes API.
        self.kubernetes_url: str | None = None

    def __enter__(self) -> Self:
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,
        )
        ready = self._process.stdout.readline() if self._process.stdout else b""
        try:
            found = json.loads(ready)
            self.url = found["url"]
            self.kubernetes_url = found.get("kubernetes_url")
            if url := found.get("controller_metrics_url"):
                self.metrics_urls = {"controller": url}
        except (ValueError, KeyError, TypeError):
            output = self.read_log()
            self.__exit__()
            if self._process.returncode == ExitCode.BAD_INPUT:
                what = output.removeprefix("Error: ").removeprefix("--profile: ").removeprefix("profile: ")
                raise InputError(Problem("--emulator-profile", what)) from None
            raise TargetError("The emulator did not start.", output or "Its log is empty.") from None
        return self

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    def read_log(self) -> str:
        """Return the text of its log: empty, if all is well."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip()

    def __exit__(self, *_: object) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        try:
            self._process.wait(_ENDS_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()
