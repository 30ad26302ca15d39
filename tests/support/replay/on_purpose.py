"""Where the emulator differs from the recordings on purpose, and why: the one place for it."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Purpose:
    """A difference that is meant: in which recordings, and which differences (both patterns), and why."""

    recording: str
    difference: str
    reason: str

    def covers(self, recording: str, difference: str) -> bool:
        """Whether a difference of a recording is this one."""
        return bool(re.search(self.recording, recording) and re.search(self.difference, difference))


ON_PURPOSE: tuple[Purpose, ...] = (
    Purpose(
        "",
        r"^\$\.commit_sha: ",
        "the emulator says what it is: its commit_sha begins with kfp-perf-emulator",
    ),
    Purpose(
        "healthz-metrics",
        r"^\$\.names: (go|process)_\w+ is missing",
        "metrics of the Go runtime and of its process would be made up",
    ),
    Purpose(
        "healthz-metrics",
        r"^\$\.names: (grpc_server_\w+|resource_manager_workflow_runs_success) is missing",
        "series with labels appear with the first call or run, of which the recorded server had had some",
    ),
    Purpose(
        "healthz-metrics",
        r"^header transfer-encoding: recorded None, emulated chunked$",
        "the recording of /metrics holds no transfer-encoding, though 200 KB without a length are chunked",
    ),
    Purpose(
        "pipeline-life",
        r"existing pipeline versions \(e\.g\. ",
        "which version is named is not defined where two were made in the same second, as in the recording",
    ),
    Purpose(
        "run-refused",
        r"^header transfer-encoding: recorded chunked, emulated None$",
        "a fault of the compiler has Go stack traces there, and is long",
    ),
    Purpose(
        "life-hello",
        r"^(status: recorded 404, emulated 200$|header content-type: |\$\.(data|error_details|error_message): "
        r"recorded (nothing|\"artifact not found: <nil>\"), emulated )",
        "the emulator's object store holds the logs of each pod; the recorded server's held none",
    ),
    Purpose(
        "life-hello",
        r"^\$\.error_(details|message).*: recorded .*from archive none",
        "the text of the recorded server's object store, with ids of its requests, is not repeated",
    ),
)


def reason_of(recording: str, differences: tuple[str, ...]) -> str:
    """Return why the differences of an exchange are meant, empty where one of them is not."""
    reasons = []
    for difference in differences:
        found = next((each for each in ON_PURPOSE if each.covers(recording, difference)), None)
        if found is None:
            return ""
        reasons.append(found.reason)
    return "; ".join(dict.fromkeys(reasons))


__all__ = ["ON_PURPOSE", "Purpose", "reason_of"]
