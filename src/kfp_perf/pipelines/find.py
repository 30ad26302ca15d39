"""Finding the pipeline that a scenario names: in the folders of the test, then in the built-in catalog."""

from __future__ import annotations

import difflib
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from kfp_perf.catalog import PIPELINES
from kfp_perf.errors import InputError, Problem
from kfp_perf.pipelines.misfits import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def find_pipeline(file_name: str, folders: Iterable[Path]) -> Path:
    """Return the file of that name in the first of the folders that has it, or else in the built-in catalog.

    The name may contain subfolders, but may not leave the folder, by `..` or through a symbolic link. Raises
    InputError.
    """
    parts = PurePosixPath(file_name).parts
    if "\0" in file_name or "\\" in file_name or not parts:
        raise InputError(Problem(file_name, "is not a file name", "name a compiled pipeline"))
    if (
        PurePosixPath(file_name).is_absolute()
        or PureWindowsPath(file_name).drive
        or ".." in parts
        or parts[0] == "~"
    ):
        remedy = "name a file relative to the scenario file, or configure a pipeline folder"
        raise InputError(Problem(file_name, "leads outside of the pipelines' folders", remedy))
    searched = [*folders, PIPELINES]
    for folder in searched:
        candidate = folder / file_name
        try:
            found = candidate.is_file()
            inside = found and candidate.resolve().is_relative_to(folder.resolve())
        except OSError as error:
            raise InputError(
                Problem(f"{file_name:.80}", f"cannot be looked up: {error.strerror}", "shorten it")
            ) from None
        if found and not inside:
            remedy = "put the file itself there, or configure its folder as a pipeline folder"
            raise InputError(Problem(file_name, f"is a link that leads outside of {folder}", remedy))
        if found:
            return candidate
        if candidate.is_dir():
            raise InputError(Problem(file_name, "is a folder", "name the compiled pipeline in it"))
    raise InputError(
        Problem(file_name, f"does not exist in {', '.join(map(str, searched))}", _near(file_name, searched))
    )


def _near(file_name: str, folders: Iterable[Path]) -> str:
    names = sorted({file.name for folder in folders if folder.is_dir() for file in folder.iterdir()} - {""})
    compiled = [name for name in names if name.endswith(SUFFIXES)]
    near = difflib.get_close_matches(file_name, compiled, n=1)
    built_in = ", ".join(sorted(file.name for file in PIPELINES.glob("*.yaml")))
    return f"did you mean {near[0]}?" if near else f"built-in pipelines: {built_in}"
