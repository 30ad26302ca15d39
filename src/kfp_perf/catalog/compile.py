"""Compile the built-in pipelines: `python -m kfp_perf.catalog.compile`. Needs the kfp SDK."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from kfp_perf.catalog import PIPELINES, SOURCES

if TYPE_CHECKING:
    from pathlib import Path

PIPELINE_NAMES = tuple(
    sorted(path.stem for path in SOURCES.glob("*.py") if path.stem not in {"__init__", "steps"})
)


AS_NAMED = frozenset({"add_numbers", "pipeline_with_large_datasets"})
"""Pipelines whose files are named as KFP's own samples are, with underscores."""


def compiled_path(name: str, folder: Path = PIPELINES) -> Path:
    """Return where the pipeline of the source `name` is compiled to."""
    return folder / f"{name if name in AS_NAMED else name.replace('_', '-')}.yaml"


def compile_pipeline(name: str, folder: Path = PIPELINES) -> Path:
    """Compile the pipeline of the source `name` into a folder, and return the file."""
    from kfp import compiler

    source = importlib.import_module(f"kfp_perf.catalog.sources.{name}")
    path = compiled_path(name, folder)
    compiler.Compiler().compile(source.pipeline, str(path))
    return path


if __name__ == "__main__":
    for pipeline_name in PIPELINE_NAMES:
        print(compile_pipeline(pipeline_name))  # noqa: T201  the command's output
