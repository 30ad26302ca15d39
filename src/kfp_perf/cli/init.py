"""`kfp-perf init`."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from kfp_perf.cli.output import standard_output

#: What is written, and the file of the catalog that it is a copy of.
FILES = {
    "README.md": "README.md",
    "performance.json": "performance.json",
    "pipelines/greet.py": "pipelines/greet.py",
    "pipelines/greet.yaml": "pipelines/greet.yaml",
    "test_performance.py": "test_performance.py",
    ".github/workflows/performance.yml": "github.yml",
    ".gitlab-ci.yml": "gitlab.yml",
}


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path())
def init(*, folder: Path) -> None:
    """Write a first test into FOLDER: a scenario, a pipeline with its source, a test for pytest, CI workflows.

    All of it runs as it is against the emulator. Nothing that exists is overwritten.
    """
    from kfp_perf.catalog import PROJECT
    from kfp_perf.errors import InputError, Problem

    existing = [name for name in FILES if (folder / name).exists() or (folder / name).is_symlink()]
    if existing:
        what = f"holds {', '.join(existing)} already, and nothing is overwritten"
        raise InputError(Problem(str(folder), what, "Name another folder: kfp-perf init FOLDER"))
    for name, source in FILES.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes((PROJECT / source).read_bytes())
        except OSError as error:
            problem = Problem(str(path), f"cannot be written: {error.strerror}", "Name another folder.")
            raise InputError(problem) from error
    with standard_output():
        for name in FILES:
            click.echo(folder / name)
        step = "" if folder == Path() else f"cd {shlex.quote(str(folder))} && "
        click.echo(f"\nTry it: {step}kfp-perf run performance.json --emulator")
