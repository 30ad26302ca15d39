"""What runners report beside samples and runs, as plain values."""

from __future__ import annotations

import msgspec


class PrefillReport(msgspec.Struct):
    """Counts of the rows created, by kind, how many failed, and the time for all of them.

    `unfinished_runs` were still in flight when the wait for them ended, and may disturb the measurement.
    """

    experiments: int = 0
    pipelines: int = 0
    versions: int = 0
    runs: int = 0
    failed: int = 0
    unfinished_runs: int = 0
    seconds: float = 0.0

    def format(self) -> str:
        """Return the counts in one line."""
        kinds = {
            "runs": self.runs,
            "versions": self.versions,
            "pipelines": self.pipelines,
            "experiments": self.experiments,
        }
        return f"{', '.join(f'{kind} {made:,}' for kind, made in kinds.items() if made)}; in {self.seconds:.1f} s"


class ScheduleReport(msgspec.Struct):
    """Counts of schedules and of their slots; the metric family `schedule` has how punctual they were.

    `schedules` were created, `refused` were not. Of the first runs of slots `on_time` started within 40 s of
    their slot, which is what the controller takes by design, `late` after that. `missed` slots got no run; nor
    did `undecided` ones, which were due within a minute before their schedule was disabled. `running_seconds` is
    from a slot until the run's state RUNNING reached the API server, which is after its start. `pages` and
    `failures` are requests for new runs.
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
    """Counts of uploads. `size_bytes` is the size of each upload, `failed` counts those that the server refused."""

    pipelines: int = 0
    versions: int = 0
    failed: int = 0
    size_bytes: int = 0


class ReadReport(msgspec.Struct):
    """Counts of the readers.

    `gone` counts reads of objects that had been deleted since a list showed them, `nothing_to_get` reads of
    details while no object of their kind was known: a list was read instead. `later_pages` are pages of lists
    after the first, which is 1 for `deepest_page`.
    """

    reads: int = 0
    failed: int = 0
    gone: int = 0
    nothing_to_get: int = 0
    later_pages: int = 0
    deepest_page: int = 0
