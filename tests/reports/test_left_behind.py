"""What is still on the server is said, with the command that deletes it, as one would type it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest
from sample_results import Load, SampleTest

from kfp_perf.reports import REPORTS
from kfp_perf.result.journal import Journal, ObjectKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_perf.result.reader import TestResult


def left(sample: Callable[[SampleTest], TestResult], test: SampleTest, objects: int) -> TestResult:
    result = sample(test)
    folder = result.path / "scenarios" / "a"
    folder.mkdir(exist_ok=True)
    journal = Journal(folder / "journal.jsonl", "http://kfp:8888")
    for place in range(objects):
        journal.intend(ObjectKind.RUN, f"kfp-perf-{place}")
    journal.intend(ObjectKind.RUN, "kfp-perf-deleted")
    journal.gone(ObjectKind.RUN, "kfp-perf-deleted")
    journal.close()
    return result


def told(result: TestResult) -> tuple[str, str]:
    (summary,), (page,) = (REPORTS[name].draw(result).values() for name in ("console", "html"))
    return " ".join(summary.decode().split()), page.decode()


@pytest.mark.parametrize(
    ("keep", "said"),
    [
        ("all", "2 objects left on the server, as asked for"),
        ("failed", "2 objects left on the server, as asked for"),
        ("nothing", "2 objects may still be on the server"),
    ],
)
def test_what_stays_is_said_with_the_command_that_deletes_it(
    sample: Callable[[SampleTest], TestResult], keep: str, said: str
) -> None:
    result = left(sample, SampleTest(extra={"configuration": {"keep": keep}}), 2)
    command = f"kfp-perf cleanup {result.path}"
    for text in told(result):
        assert f"{said}." in text
        assert command in text


def test_the_command_names_a_target_of_the_targets_file(
    sample: Callable[[SampleTest], TestResult],
) -> None:
    """Its credentials are in its table."""
    result = left(sample, SampleTest(), 1)
    result.document["target"]["name"] = "staging"
    for text in told(result):
        assert f"kfp-perf cleanup {result.path} --target staging" in text


@pytest.mark.parametrize("objects", [0, 2])
def test_on_the_emulator_and_where_all_is_gone_nothing_stays(
    sample: Callable[[SampleTest], TestResult], objects: int
) -> None:
    test = SampleTest(emulator=objects > 0, extra={"configuration": {"keep": "all"}})
    for text in told(left(sample, test, objects)):
        assert "on the server" not in text
        assert "kfp-perf cleanup" not in text


def test_what_could_not_be_deleted_is_not_told_twice(sample: Callable[[SampleTest], TestResult]) -> None:
    result = left(sample, SampleTest(extra={"leftovers": ["run kfp-perf-0: 500"]}), 1)
    for text in told(result):
        assert "1 object could not be deleted" in text
        assert "may still be" not in text
        assert f"kfp-perf cleanup {shlex.quote(str(result.path))}" in text


def test_nobody_is_told_of_a_grace_period_that_ctrl_c_has_ended(
    sample: Callable[[SampleTest], TestResult],
) -> None:
    loads = (Load("a", 20, 0.0, 60.0, 10.0, unfinished=0.2),)
    summary, page = told(sample(SampleTest(loads=loads, exit_code=4)))
    assert "still in flight at the end" in summary
    assert "still in flight at the end" in page
    assert "grace period" not in summary + page
