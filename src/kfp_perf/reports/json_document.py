"""The figures as they are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_perf.result.whole_file import indented_json

if TYPE_CHECKING:
    from kfp_perf.result.reader import TestResult


def draw_json(result: TestResult) -> dict[str, bytes]:
    """The document of `result.json`, for a pipe."""
    return {"result.json": indented_json(result.document)}
