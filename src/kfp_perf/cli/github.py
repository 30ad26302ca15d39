"""Reports to GitHub Actions, where the command runs in one of its steps. They never change an exit code."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from kfp_perf.reports.github import Annotation


def is_github(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the command runs in a step of GitHub Actions."""
    return environment.get("GITHUB_ACTIONS") == "true"


def report_to_github(
    annotations: Callable[[], Iterable[Annotation]],
    markdown: Callable[[], bytes] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> None:
    """Write annotations to standard error, and `markdown` to the summary of the step; nothing elsewhere.

    Both are functions, so that nothing is drawn where nobody asks for it. What fails is reported, and changes
    nothing else.
    """
    if not is_github(environment):
        return
    from kfp_perf.reports.github import append_summary

    with _reported("the annotations"):
        # The runner reads commands from both streams; the output may go to a file.
        for one in annotations():
            click.echo(str(one), err=True)
    if markdown is not None and (path := environment.get("GITHUB_STEP_SUMMARY")):
        with _reported("the summary of the step"):
            append_summary(Path(path), markdown())


def error_to_github(error: Exception, environment: Mapping[str, str] = os.environ) -> None:
    """Annotate an error that ends a command before it has a result."""
    if is_github(environment):
        from kfp_perf.reports.github import annotations_of_error

        report_to_github(lambda: annotations_of_error(error, environment), environment=environment)


@contextlib.contextmanager
def _reported(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001  a report for a page must not cost the outcome of a test
        with contextlib.suppress(OSError):
            text = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
            click.echo(f"kfp-perf: {what} could not be written: {text}", err=True)
