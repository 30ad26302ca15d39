"""Where a scenario file and its pipelines are."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING

from kfp_perf.catalog import SCENARIOS
from kfp_perf.errors import InputError, Problem

if TYPE_CHECKING:
    from kfp_perf.config import TestConfig

TEST_DATA = Path("test_data") / "scenarios"
"""Where the earlier prototype of this framework had its scenario files, relative to the current folder."""

_MOST_NAMED = 5
"""How many scenario files of a folder a message names."""


def find_scenario_file(name: str | Path) -> Path:
    """Return the scenario file of that path; else that of `test_data/scenarios`, else the built-in one.

    The suffix `.json` may be left out of the name of one that is not given by its path. Raises InputError.
    """
    path = Path(name)
    beside = [path]
    if path.parent == Path():
        beside += [TEST_DATA / str(name), TEST_DATA / f"{name}.json"]
    try:
        for candidate in beside:
            if candidate.is_dir() and (inside := sorted(candidate.glob("*.json"))):
                remedy = f"give a scenario file: {', '.join(map(str, inside[:_MOST_NAMED]))}"
                raise InputError(Problem(str(candidate), "is a folder", remedy))
            if candidate.exists():
                return candidate
    except (OSError, ValueError) as error:
        raise InputError(Problem(f"{name!s:.80}", f"cannot be looked up: {error}")) from None
    built_in = {file.name: file for file in sorted(SCENARIOS.glob("*.json"))}
    for text in (str(name), f"{name}.json"):
        if text in built_in:
            return built_in[text]
    folder = path.parent if path.parent.is_dir() else Path()
    # Compared without the suffix, which all of them have.
    known = {Path(file).stem: file for file in built_in} | {
        file.stem: str(file) for file in folder.glob("*.json")
    }
    near = difflib.get_close_matches(path.stem, known, n=1)
    remedy = (
        f"did you mean {known[near[0]]}?" if near else "give a path, or the name of a built-in scenario file"
    )
    raise InputError(Problem(str(name), "does not exist", f"{remedy} (built in: {', '.join(built_in)})"))


def pipeline_folders(scenario_file: Path, config: TestConfig) -> tuple[Path, ...]:
    """Return the folders in which the pipelines of a scenario file are looked for, in this order.

    The file's own, `pipelines` in it, `pipeline_files` beside it, and those of the configuration.
    """
    folder = scenario_file.parent
    beside = folder / ".." / "pipeline_files" if folder == Path() else folder.parent / "pipeline_files"
    return (folder, folder / "pipelines", beside, *config.pipeline_folders)


def label_of(path: Path) -> str:
    """Return the name of a scenario file in messages: its path, or its name alone where it is built in."""
    return path.name if path.parent == SCENARIOS else str(path)
