"""One execution of a comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kfp_perf.hosts import titled
from kfp_perf.result.timestamps import epoch_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class ComparedExecution:
    """One test with its result: `document` is `result.json`, `given` what the test was given."""

    path: Path
    document: Mapping[str, Any]
    given: Mapping[str, Any]

    @property
    def started(self) -> float | None:
        """When the test started, in seconds since the Unix epoch; None where that cannot be read."""
        return epoch_of(self.document.get("started"))

    @property
    def finished(self) -> float | None:
        """When it was over."""
        return epoch_of(self.document.get("finished"))

    @property
    def target(self) -> str:
        """What it was executed on: an address with its name in the targets file, or the emulator; may be empty."""
        found = self.document.get("target")
        target = found if isinstance(found, dict) else {}
        if target.get("emulator"):
            return "the emulator"
        return titled(str(target.get("name") or ""), str(target.get("url") or ""))

    @property
    def scenario_names(self) -> tuple[str, ...]:
        """The names of its scenarios."""
        return tuple(str(one.get("name")) for one in self._scenarios)

    @property
    def _scenarios(self) -> list[dict[str, Any]]:
        found = self.document.get("scenarios")
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    def metrics(self, scenario: str | None) -> Mapping[str, Any]:
        """The metrics dictionary of a scenario, or of the whole test (None); empty where there is none."""
        if scenario is None:
            found = self.document.get("total")
        else:
            found = next((one.get("metrics") for one in self._scenarios if one.get("name") == scenario), None)
        return found if isinstance(found, dict) else {}
