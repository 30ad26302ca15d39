"""Every exception that kfp-perf raises on purpose, and the exit code that each leads to.

    KfpPerfError
    ├── InputError            what the user gave is wrong: every problem at once       exit 2
    ├── TargetError           the target cannot be reached, or is no healthy KFP       exit 3
    ├── ApiError              one call of the KFP API failed
    │   ├── ApiUnreachable    no byte was sent: nothing can have happened
    │   ├── ApiInterrupted    sent, but no answer came: what happened is not known
    │   ├── ApiStatusError    the server answered with an error status
    │   └── ApiAnswerError    the server answered with something that is not KFP's
    ├── RunnerError           a scenario could not do its work                         exit 1
    ├── ThresholdsFailed      a metric is beyond its threshold, or cannot be told      exit 1
    ├── GeneratorSaturated    the figures are the generator's, not the target's        exit 5
    └── TestInterrupted       stopped by the user, or by the system                    exit 4

Libraries raise these; only the command line turns them into exit codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class ExitCode(IntEnum):
    """What the process says at its end. `worst` orders them where several hold."""

    GOOD = 0
    FAILED = 1
    BAD_INPUT = 2
    TARGET = 3
    INTERRUPTED = 4
    INVALID = 5

    @classmethod
    def worst(cls, codes: Iterable[ExitCode]) -> ExitCode:
        """Return the code that says most about why the result cannot be trusted: 2, 4, 3, 5, 1, then 0."""
        return min(codes, key=_GRAVEST_FIRST.index, default=cls.GOOD)

    @classmethod
    def rank(cls, code: ExitCode) -> int:
        """Return the place of a code in the order of `worst`, from 0."""
        return _GRAVEST_FIRST.index(code)

    @classmethod
    def of(cls, errors: Iterable[Exception]) -> ExitCode:
        """Return the worst code of those that errors ask for; one that was not meant for the user is a failure."""
        return cls.worst(map(_code_of, errors))


_GRAVEST_FIRST = (
    ExitCode.BAD_INPUT,
    ExitCode.INTERRUPTED,
    ExitCode.TARGET,
    ExitCode.INVALID,
    ExitCode.FAILED,
    ExitCode.GOOD,
)


def gravest_first(errors: Iterable[Exception]) -> list[Exception]:
    """Return the errors by how much they say about why the result cannot be trusted, else in their order."""
    return sorted(errors, key=lambda error: _GRAVEST_FIRST.index(_code_of(error)))


def _code_of(error: Exception) -> ExitCode:
    return error.exit_code if isinstance(error, KfpPerfError) else ExitCode.FAILED


class KfpPerfError(Exception):
    """The base of all errors that are meant for the user; its text is complete without a traceback."""

    exit_code: ExitCode = ExitCode.FAILED


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the input.

    `where` is a file, a path in it (`smoke.json: $[2].runTime`), a flag or a variable; `what` says what is
    wrong there; `remedy` what to do, or what is allowed (may be empty).
    """

    where: str
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        line = f"{self.where}: {self.what}" if self.where else self.what
        return f"{line}\n    {self.remedy}" if self.remedy else line


class InputError(KfpPerfError):
    """What the user gave is wrong; holds every problem that was found, not only the first."""

    exit_code = ExitCode.BAD_INPUT

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))

    def __reduce__(self) -> tuple[type[InputError], tuple[tuple[Problem, ...]]]:
        return (type(self), (self.problems,))


class TargetError(KfpPerfError):
    """The target cannot be reached, stayed away too long, or is not a healthy KFP API server."""

    exit_code = ExitCode.TARGET

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = message
        self.hint = hint
        super().__init__(f"{message}\n    {hint}" if hint else message)

    def __reduce__(self) -> tuple[type[TargetError], tuple[str, str]]:
        return (type(self), (self.message, self.hint))


class ApiError(KfpPerfError):
    """One call of the KFP API failed.

    `operation` is the RPC's name (`CreateRun`); `message` KFP's own words where it had any; `hint` what to do
    about it (may be empty); `status` the HTTP status, 0 where there was no answer; `kind` a short word under
    which failures are counted (`404`, `timeout`, `refused`).
    """

    def __init__(
        self, operation: str, message: str, *, status: int = 0, kind: str = "", hint: str = ""
    ) -> None:
        self.operation = operation
        self.message = message
        self.status = status
        self.kind = kind or (str(status) if status else type(self).__name__)
        self.hint = hint
        status_text = f" (HTTP {status})" if status else ""
        text = f"{operation} failed{status_text}: {message}"
        super().__init__(f"{text}\n    {hint}" if hint else text)

    def __reduce__(self) -> tuple[object, ...]:
        keywords = {"status": self.status, "kind": self.kind, "hint": self.hint}
        return (_rebuild_api_error, (type(self), self.operation, self.message, keywords))

    @property
    def outcome_unknown(self) -> bool:
        """Whether the server may have done the work although the call failed."""
        return False


def _rebuild_api_error(
    kind: type[ApiError], operation: str, message: str, keywords: dict[str, object]
) -> ApiError:
    return kind(operation, message, **keywords)  # type: ignore[arg-type]


class ApiUnreachable(ApiError):
    """No connection could be made, so not a byte of the request was sent."""


class ApiInterrupted(ApiError):
    """The request was sent, at least in part, and no whole answer came back."""

    @property
    def outcome_unknown(self) -> bool:
        """Whether the server may have done the work: yes, it may."""
        return True


class ApiStatusError(ApiError):
    """The server answered with an error status."""

    @property
    def outcome_unknown(self) -> bool:
        """Whether the work may have been done: a gateway's 502, 503 and 504 do not say."""
        return self.status in {502, 503, 504}


class ApiAnswerError(ApiError):
    """The server answered a good status with a body that is not KFP's."""

    @property
    def outcome_unknown(self) -> bool:
        """Whether the work may have been done: the status said so."""
        return True


class RunnerError(KfpPerfError):
    """A scenario could not do its work, or nothing of it succeeded."""


class ThresholdsFailed(KfpPerfError):
    """Thresholds were not kept, or there was not enough data to say so."""


class GeneratorSaturated(KfpPerfError):
    """A resource of the generator gave way, so what was measured is not the target's doing."""

    exit_code = ExitCode.INVALID


class TestInterrupted(KfpPerfError):
    """The test was stopped before its end; what was measured until then is kept."""

    __test__ = False
    exit_code = ExitCode.INTERRUPTED
