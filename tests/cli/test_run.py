"""The last output of `kfp-perf run`: the path of the report, or how to write it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sample_results import Load, SampleTest, make_result

from kfp_perf.errors import ExitCode, TestInterrupted
from kfp_perf.execution import TestFailed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("drawn", [True, False])
def test_where_no_report_was_drawn_the_command_that_does_is_said(
    kfp_perf: Call, folder: Path, monkeypatch: pytest.MonkeyPatch, drawn: bool
) -> None:
    result = make_result(folder, SampleTest(loads=(Load("a", 5, 0.0, 5.0, 1.0),), exit_code=4))

    def stopped(*_: Any, **__: Any) -> None:
        raise TestFailed(result, [TestInterrupted("stopped")], ExitCode.INTERRUPTED)

    monkeypatch.setattr("kfp_perf.execution.run_test", stopped)
    if drawn:
        (result.path / "report.html").touch()
    code, out, _ = kfp_perf("run")
    assert code == 4
    asked = [line for line in out.splitlines() if line.startswith("Draw the report with: ")]
    if drawn:
        assert asked == []
        return
    _, _, command = asked[0].partition("kfp-perf ")
    assert kfp_perf(*command.split())[0] == 0
    assert (result.path / "report.html").stat().st_size > 1000
