"""What one check found."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Status(StrEnum):
    """How a check ended. A test can run in spite of a warning; what was not asked for is skipped."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


class Finding(msgspec.Struct, frozen=True):
    """The result of one check: its name, status, a sentence, and what to do (empty where nothing is to be done).

    `kind` is that of the `ApiError` which a failed request would end with,
    `operation` and `http_status` are of that request (empty and 0: none failed, or none was answered).
    """

    check: str
    status: Status
    detail: str
    remedy: str = ""
    kind: str = ""
    operation: str = ""
    http_status: int = 0
