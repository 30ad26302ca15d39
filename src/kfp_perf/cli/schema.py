"""`kfp-perf schema`."""

from __future__ import annotations

import json

import click

from kfp_perf.cli.output import standard_output


@click.command()
def schema() -> None:
    """Print the JSON Schema of scenario files, for editors."""
    from kfp_perf.scenario.serde import json_schema

    with standard_output():
        click.echo(json.dumps(json_schema(), indent=2))
