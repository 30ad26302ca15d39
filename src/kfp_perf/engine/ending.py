"""How a scenario ended: its error, and what became of its measurements and of its clean-up."""

from __future__ import annotations

import logging
import pickle
from dataclasses import dataclass, field
from typing import Any

from kfp_perf.errors import ExitCode, KfpPerfError, RunnerError

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Ending:
    """How a scenario ends, filled in as it does.

    `started` and `finished` are seconds since the Unix epoch (0.0: not yet), `custom` the runner's own metrics.
    `measured`: the load is over. `cleanup_failed`: the clean-up ended with an error.
    """

    started: float = 0.0
    finished: float = 0.0
    error: str = ""
    exit_code: int = 0
    failure: Exception | None = None
    custom: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    measured: bool = False
    cleanup_failed: bool = False

    def keep(self, name: str, error: BaseException) -> None:
        """Keep the first error of the scenario `name`; another one becomes a warning.

        An error for the user is logged as one line, a bug with its traceback.
        """
        text = text_of(error)
        if text in {self.error, *self.warnings}:
            return
        if isinstance(error, KfpPerfError):
            log.error("%s: %s", name, error)
        else:
            log.error("%s failed", name, exc_info=error)
        if self.error:
            self.warnings.append(text)
            return
        self.error = text
        self.exit_code = int(error.exit_code if isinstance(error, KfpPerfError) else ExitCode.FAILED)
        # A plug-in's SystemExit or CancelledError is no Exception: raised again, it would end more than a scenario.
        self.failure = error if isinstance(error, Exception) else RunnerError(text)

    def picklable_failure(self) -> Exception | None:
        """The exception, or one of our own with its text where it cannot cross to another process."""
        if self.failure is None:
            return None
        try:
            pickle.loads(pickle.dumps(self.failure))  # noqa: S301  our own exception
        except Exception:  # noqa: BLE001  whatever a user's exception does
            return RunnerError(text_of(self.failure))
        return self.failure


def text_of(error: BaseException) -> str:
    """The text of an error for the user, or the kind and the text of any other exception."""
    if isinstance(error, KfpPerfError):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
