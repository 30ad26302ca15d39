"""What runners report beside samples and runs, as plain values."""

from __future__ import annotations

import msgspec


class PrefillReport(msgspec.Struct):
    """What was made: rows by kind, how many could not be, and how long it took in all.

    `unfinished_runs` were still in flight when the waiting for them ended, and may disturb what is measured.
    """

    experiments: int = 0
    pipelines: int = 0
    versions: int = 0
    runs: int = 0
    failed: int = 0
    unfinished_runs: int = 0
    seconds: float = 0.0

    def told(self) -> str:
        """The same in words."""
        kinds = {
            "runs": self.runs,
            "versions": self.versions,
            "pipelines": self.pipelines,
            "experiments": self.experiments,
        }
        return f"{', '.join(f'{kind} {made:,}' for kind, made in kinds.items() if made)}; in {self.seconds:.1f} s"


class ScheduleReport(msgspec.Struct):
    """What became of the schedules; how well they kept time is told by the metrics of the family `schedule`.

    `schedules` were created, `refused` were not. Of the first runs of slots `on_time` started within 40 s of
    their slot, which is what the controller takes by design, `late` after that. For `missed` slots no run came;
    nor for `undecided` ones, which came within a minute before their schedule was disabled. `running_seconds` is
    from a slot until the API server knew that its run runs, which is after its start. `pages` and `failures` are
    requests for new runs.
    """

    schedules: int = 0
    refused: int = 0
    on_time: int = 0
    late: int = 0
    missed: int = 0
    undecided: int = 0
    running_seconds: dict[str, float] = {}
    pages: int = 0
    failures: int = 0


class UploadReport(msgspec.Struct):
    """What was uploaded. `size_bytes` is that of each upload, `failed` counts what the server did not take."""

    pipelines: int = 0
    versions: int = 0
    failed: int = 0
    size_bytes: int = 0
