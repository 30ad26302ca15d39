"""Every exception that kfp-perf raises, and the exit code of each.

    KfpPerfError
    ├── InputError            invalid input, with every problem found                  exit 2
    ├── TargetError           the target cannot be reached, or is no healthy KFP       exit 3
    ├── ApiError              one call of the KFP API failed
    │   ├── ApiUnreachable    no byte was sent: the server did nothing
    │   ├── ApiInterrupted    sent, but not answered: the outcome is unknown
    │   ├── ApiStatusError    the server answered with an error status
    │   └── ApiAnswerError    the server answered with something that is not KFP's
    ├── RunnerError           a scenario could not do its work                         exit 1
    ├── ThresholdsFailed      a threshold was not kept, or lacks data                  exit 1
    ├── GeneratorSaturated    the load generator was the bottleneck, not the target    exit 5
    └── TestInterrupted       stopped by the user, or by the system                    exit 4

Libraries raise these; only the command line turns them into exit codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class ExitCode(IntEnum):
    """Exit codes of the process; `worst` selects one where several apply."""

    GOOD = 0
    FAILED = 1
    BAD_INPUT = 2
    TARGET = 3
    INTERRUPTED = 4
    INVALID = 5

    @classmethod
    def worst(cls, codes: Iterable[ExitCode]) -> ExitCode:
        """Return the most serious code, in the order 2, 4, 3, 5, 1, 0."""
        return min(codes, key=_GRAVEST_FIRST.index, default=cls.GOOD)

    @classmethod
    def rank(cls, code: ExitCode) -> int:
        """Return the place of a code in the order of `worst`, from 0."""
        return _GRAVEST_FIRST.index(code)

    @classmethod
    def of(cls, errors: Iterable[Exception]) -> ExitCode:
        """Return the worst exit code of some errors; one that is no `KfpPerfError` is a failure."""
        return cls.worst(map(_code_of, errors))


#: Statuses with which KFP refuses a call before it does anything.
REFUSALS = frozenset({400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 501})
#: Those that prove it even if a proxy sent them: proxies check identity, size and rate before they forward.
_REFUSALS_BY_ANYONE = frozenset({401, 413, 429})
#: Statuses that mean that the API server did not answer (in time): those of gateways, 499 of nginx and of
#: grpc-gateway for a cancelled call, 520 to 527 of Cloudflare. 408 is Envoy's stream time-out, and that of older
#: grpc-gateways for a cancelled call.
NO_ANSWER = frozenset({408, 499, 502, 503, 504, *range(520, 528)})

_GRAVEST_FIRST = (
    ExitCode.BAD_INPUT,
    ExitCode.INTERRUPTED,
    ExitCode.TARGET,
    ExitCode.INVALID,
    ExitCode.FAILED,
    ExitCode.GOOD,
)


def _code_of(error: Exception) -> ExitCode:
    return error.exit_code if isinstance(error, KfpPerfError) else ExitCode.FAILED


class KfpPerfError(Exception):
    """Base of all errors that are shown to the user; the text is complete without a traceback."""

    exit_code: ExitCode = ExitCode.FAILED


class Position(NamedTuple):
    """A place in a text: line and column, both from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the input.

    `where` is a file, a path in it (`smoke.json: $[2].runTime`), a flag or a variable; `what` is what is wrong
    there; `remedy` is what to do, or what is allowed (may be empty). `position` is the place in the file, which
    stands in the text as compilers write it: `smoke.json:12:5: $[2].runTime: must be greater than 0`.
    """

    where: str
    what: str
    remedy: str = ""
    position: Position | None = None

    @property
    def file(self) -> str:
        """The part of `where` before a path in a file."""
        return self.where.partition(": ")[0]

    def __str__(self) -> str:
        where = self.where
        if self.position is not None:
            where = f"{self.file}:{self.position.line}:{self.position.column}{where[len(self.file) :]}"
        line = f"{where}: {self.what}" if where else self.what
        return f"{line}\n    {self.remedy}" if self.remedy else line


class InputError(KfpPerfError):
    """Invalid input; holds every problem that was found, not only the first."""

    exit_code = ExitCode.BAD_INPUT

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))

    def __reduce__(self) -> tuple[type[InputError], tuple[tuple[Problem, ...]]]:
        return (type(self), (self.problems,))


class TargetError(KfpPerfError):
    """The target cannot be reached, did not answer for too long, or is not a healthy KFP API server."""

    exit_code = ExitCode.TARGET

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = message
        self.hint = hint
        super().__init__(f"{message}\n    {hint}" if hint else message)

    def __reduce__(self) -> tuple[type[TargetError], tuple[str, str]]:
        return (type(self), (self.message, self.hint))


class ApiError(KfpPerfError):
    """One call of the KFP API failed.

    `operation` is the RPC's name (`CreateRun`); `message` is KFP's own message where there is one; `hint` is what
    to do about it (may be empty); `status` is the HTTP status, 0 where there was no answer; `kind` is a short word
    under which failures are counted (`404`, `timeout`, `refused`).
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
        return (_rebuild_api_error, (type(self), self.operation, self.message, self._keywords()))

    def _keywords(self) -> dict[str, object]:
        return {"status": self.status, "kind": self.kind, "hint": self.hint}

    @property
    def outcome_unknown(self) -> bool:
        """Whether the server may have done the work although the call failed."""
        return False

    @property
    def says_gone(self) -> bool:
        """Whether KFP itself answered that the object does not exist; a proxy's 404 proves nothing."""
        return False

    @property
    def work_ended(self) -> bool:
        """Whether the server is done with this call, so that one look-up shows its outcome."""
        return not self.outcome_unknown


def _rebuild_api_error(
    kind: type[ApiError], operation: str, message: str, keywords: dict[str, object]
) -> ApiError:
    return kind(operation, message, **keywords)  # type: ignore[arg-type]


class ApiUnreachable(ApiError):
    """No connection could be made, so not a byte of the request was sent."""


class ApiInterrupted(ApiError):
    """The request was sent, at least in part, and no complete answer was received."""

    @property
    def outcome_unknown(self) -> bool:
        """Whether the server may have done the work: always."""
        return True


class ApiStatusError(ApiError):
    """The server, or a proxy before it, answered with an error status.

    `from_kfp`: the body is one of KFP's error documents, so no proxy wrote the answer.
    """

    def __init__(
        self,
        operation: str,
        message: str,
        *,
        status: int = 0,
        kind: str = "",
        hint: str = "",
        from_kfp: bool = True,
    ) -> None:
        self.from_kfp = from_kfp
        super().__init__(operation, message, status=status, kind=kind, hint=hint)

    def _keywords(self) -> dict[str, object]:
        return {**super()._keywords(), "from_kfp": self.from_kfp}

    @property
    def outcome_unknown(self) -> bool:
        """Whether the work may have been done: yes, unless KFP itself refused with a status of `REFUSALS`."""
        if self.status in _REFUSALS_BY_ANYONE:
            return False
        return not (self.from_kfp and self.status in REFUSALS)

    @property
    def says_gone(self) -> bool:
        """Whether KFP itself answered 404."""
        return self.from_kfp and self.status == 404

    @property
    def work_ended(self) -> bool:
        """Whether KFP itself answered. A status in `NO_ANSWER` means that it did not answer in time."""
        return self.from_kfp and self.status not in NO_ANSWER


class ApiAnswerError(ApiError):
    """The server answered a good status with a body that is not KFP's."""

    @property
    def outcome_unknown(self) -> bool:
        """Whether the work may have been done: always, since the status is that of a success."""
        return True


class RunnerError(KfpPerfError):
    """A scenario could not do its work, or nothing of it succeeded."""


class ThresholdsFailed(KfpPerfError):
    """Thresholds were not kept, or there was not enough data to judge them."""


class GeneratorSaturated(KfpPerfError):
    """The load generator ran out of a resource, so the measurements do not describe the target."""

    exit_code = ExitCode.INVALID


class TestInterrupted(KfpPerfError):
    """The test was stopped before its end; measurements made until then are kept."""

    __test__ = False
    exit_code = ExitCode.INTERRUPTED
